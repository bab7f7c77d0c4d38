package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// saveChunk bounds the rows of one statement.
const saveChunk = 2000

// saveInSteps writes the rows table by table.
func saveInSteps(ctx context.Context, tx bun.IDB, rows *saveRows) ([]movedInbox, error) {
	if err := insertKeys(ctx, tx, rows.keys); err != nil {
		return nil, fmt.Errorf("remembering idempotency keys: %w", err)
	}
	if err := insertSends(ctx, tx, rows.sends); err != nil {
		return nil, fmt.Errorf("writing sends: %w", err)
	}
	moved, err := moveInboxes(ctx, tx, rows.inboxes)
	if err != nil {
		return nil, fmt.Errorf("moving inboxes: %w", err)
	}
	if err := insertNotifications(ctx, tx, rows.notifications, moved); err != nil {
		return nil, fmt.Errorf("writing notifications: %w", err)
	}
	return moved, nil
}

func insertKeys(ctx context.Context, tx bun.IDB, keys []keyRow) error {
	var list values
	for _, k := range keys {
		list.row(k.env, k.once.Actor, k.once.Operation, k.once.Key, k.once.Hash[:], k.result, k.at)
	}
	return list.insert(ctx, tx, "insert into idempotency (env_id, actor, operation, key, hash, result, created_at)")
}

func insertSends(ctx context.Context, tx bun.IDB, sends []sendRow) error {
	var list values
	for _, r := range sends {
		list.row(r.EnvID, r.ID, r.RequestID, r.Status, r.Title, r.Content, r.CategoryID, r.Channels, r.Audience,
			r.SendAt, r.FiredAt, r.ExpiresAt, r.CreatedAt, r.Total, r.Done, r.Skipped, r.Failed)
	}
	return list.insert(ctx, tx, `insert into sends (env_id, id, request_id, status, title, content, category_id, channels, audience,
		send_at, fired_at, expires_at, created_at, total, done, skipped, failed)`)
}

func moveInboxes(ctx context.Context, tx bun.IDB, inboxes []inboxStep) ([]movedInbox, error) {
	moved := make([]movedInbox, 0, len(inboxes))
	for chunk := range slices.Chunk(inboxes, saveChunk) {
		var list values
		for _, i := range chunk {
			list.row(i.env, i.user, i.step(), i.added, i.added, i.added, 0, 0, 0)
		}
		res, err := tx.QueryContext(ctx, `insert into inboxes as ib (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
			values `+list.String()+onInbox, list.args...)
		if moved, err = scanMoved(res, err, moved); err != nil {
			return nil, err
		}
	}
	return moved, nil
}

func insertNotifications(ctx context.Context, tx bun.IDB, notifications []*model.Notification, moved []movedInbox) error {
	seqs := make(map[inboxKey]int64, len(moved))
	for _, m := range moved {
		seqs[m.inboxKey] = m.seq
	}
	for chunk := range slices.Chunk(notifications, saveChunk) {
		personal, err := personals(chunk, contentOf)
		if err != nil {
			return err
		}
		var list values
		for i, n := range chunk {
			seq := seqs[inboxKey{n.EnvID, n.UserID}]
			row := []any{n.EnvID, n.ID, n.UserID, n.SendID, n.CategoryID, micros(n.SortAt), seq, seq, seq, seq, nullMicros(n.ExpiresAt), n.InInbox, int16(n.Reason)}
			if personal != nil {
				row = append(row, personal[i])
			}
			list.row(row...)
		}
		more := ""
		if personal != nil {
			more = ", personal"
		}
		if err := list.insert(ctx, tx, `insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq,
			expires_at, in_inbox, reason`+more+")"); err != nil {
			return err
		}
	}
	return nil
}
