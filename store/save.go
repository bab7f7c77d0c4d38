package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// saveChunk bounds the rows of one statement.
const saveChunk = 2000

// SaveSends writes sends in one transaction: the answers under their
// idempotency keys, the sends, their notifications and what these change in
// inboxes. All of it becomes visible at once or none of it does. saved has one
// entry for each send, in its order; changes has one entry for each inbox that
// changed, to be published. All notifications that one inbox gets here have
// the same new seq.
//
// A send that is to fire and is no longer scheduled is left out and reported
// as lost. A notification outside of the inbox changes neither seq nor
// counters.
//
// A key that has been used meanwhile, or a user who has been deleted, fails
// the whole call with an error that has model.ErrNotSaved in its chain; so
// does every other error after which certainly nothing was written.
func (s *Store) SaveSends(ctx context.Context, sends []model.PendingSend) (saved []model.SavedSend, changes []*model.InboxChange, err error) {
	err = s.write(ctx, "saving sends", func(ctx context.Context, tx bun.Tx) error {
		saved = make([]model.SavedSend, len(sends))
		if err := s.fire(ctx, tx, sends, saved); err != nil {
			return fmt.Errorf("firing: %w", err)
		}
		var alive []*model.PendingSend
		for i := range sends {
			if !saved[i].Lost {
				alive = append(alive, &sends[i])
			}
		}
		var err error
		changes, err = s.saveAlive(ctx, tx, alive)
		return err
	})
	if err != nil {
		return nil, nil, s.unsaved(err)
	}
	return saved, changes, nil
}

// fire turns the scheduled sends among sends to SENT, and marks as lost those
// that are SCHEDULED no longer. The rows are locked in key order.
func (s *Store) fire(ctx context.Context, tx bun.Tx, sends []model.PendingSend, saved []model.SavedSend) error {
	var keys, news values
	for _, p := range sends {
		if p.Fire {
			keys.row(p.Send.EnvID, p.Send.ID)
			news.row(p.Send.EnvID, p.Send.ID, micros(p.Send.FiredAt), p.Send.Progress.Total, p.Send.Progress.Done, p.Send.Progress.Skipped)
		}
	}
	if keys.empty() {
		return nil
	}
	if s.dialect.forUpdate != "" {
		if _, err := tx.NewRaw("select 1 from sends where (env_id, id) in (values "+keys.String()+") order by env_id, id"+s.dialect.forUpdate, keys.args...).Exec(ctx); err != nil {
			return err
		}
	}
	var fired []struct {
		EnvID model.EnvID
		ID    model.SendID
	}
	err := tx.NewRaw(`with x (env_id, id, fired_at, total, done, skipped) as (values `+news.String()+`)
		update sends set status = 'SENT', recipients = null, fired_at = x.fired_at, total = x.total, done = x.done, skipped = x.skipped
		from x where sends.env_id = x.env_id and sends.id = x.id and sends.status = 'SCHEDULED'
		returning sends.env_id, sends.id`, news.args...).Scan(ctx, &fired)
	if err != nil {
		return err
	}
	won := make(map[model.SendID]bool, len(fired))
	for _, f := range fired {
		won[f.ID] = true
	}
	for i, p := range sends {
		saved[i].Lost = p.Fire && !won[p.Send.ID]
	}
	return nil
}

// saveAlive writes what is left of the sends when the lost ones are out.
func (s *Store) saveAlive(ctx context.Context, tx bun.Tx, sends []*model.PendingSend) ([]*model.InboxChange, error) {
	if err := s.rememberSends(ctx, tx, sends); err != nil {
		return nil, fmt.Errorf("remembering idempotency keys: %w", err)
	}
	if err := insertSends(ctx, tx, sends); err != nil {
		return nil, fmt.Errorf("writing sends: %w", err)
	}
	// Once there are providers, the deliveries of the sends belong here too:
	// in this transaction.
	changes, err := bumpInboxes(ctx, tx, sends)
	if err != nil {
		return nil, fmt.Errorf("moving inboxes: %w", err)
	}
	if err := insertNotifications(ctx, tx, sends); err != nil {
		return nil, fmt.Errorf("writing notifications: %w", err)
	}
	return changes, nil
}

// rememberSends writes the results under their idempotency keys, in key order,
// so that two processes with the same keys wait for each other and do not
// deadlock. A key that is taken is a unique violation.
func (s *Store) rememberSends(ctx context.Context, tx bun.Tx, sends []*model.PendingSend) error {
	keyed := slices.DeleteFunc(slices.Clone(sends), func(p *model.PendingSend) bool { return !p.Once.Set() })
	slices.SortFunc(keyed, func(a, b *model.PendingSend) int {
		return cmp.Or(cmp.Compare(a.Send.EnvID, b.Send.EnvID), cmp.Compare(a.Once.Actor, b.Once.Actor),
			cmp.Compare(a.Once.Operation, b.Once.Operation), cmp.Compare(a.Once.Key, b.Once.Key))
	})
	var rows values
	for _, p := range keyed {
		result, err := encodeResult(p.Result)
		if err != nil {
			return err
		}
		rows.row(p.Send.EnvID, p.Once.Actor, p.Once.Operation, p.Once.Key, p.Once.Hash[:], result, micros(s.now()))
	}
	if rows.empty() {
		return nil
	}
	_, err := tx.NewRaw("insert into idempotency (env_id, actor, operation, key, hash, result, created_at) values "+rows.String(), rows.args...).Exec(ctx)
	return err
}

// encodeResult gives what is remembered of a result: all of it but the
// content, which the send's row has.
func encodeResult(r model.SendResult) (string, error) {
	if r.Send != nil {
		bare := *r.Send
		bare.Content = model.Content{}
		r.Send = &bare
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encoding result: %w", err)
	}
	return string(b), nil
}

func insertSends(ctx context.Context, tx bun.IDB, sends []*model.PendingSend) error {
	var rows values
	for _, p := range sends {
		if p.Fire {
			continue
		}
		title, content, err := encodeContent(p.Send.Content)
		if err != nil {
			return err
		}
		channels, err := nullJSON(p.Send.Channels)
		if err != nil {
			return err
		}
		recipients, err := nullJSON(p.Recipients)
		if err != nil {
			return err
		}
		m := p.Send
		rows.row(m.EnvID, m.ID, m.RequestID, m.Status, title, content, m.CategoryID, channels, recipients,
			nullMicros(m.SendAt), nullMicros(m.FiredAt), nullMicros(m.ExpiresAt), micros(m.CreatedAt),
			m.Progress.Total, m.Progress.Done, m.Progress.Skipped, m.Progress.Failed)
	}
	if rows.empty() {
		return nil
	}
	_, err := tx.NewRaw(`insert into sends (env_id, id, request_id, status, title, content, category_id, channels, recipients,
		send_at, fired_at, expires_at, created_at, total, done, skipped, failed) values `+rows.String(), rows.args...).Exec(ctx)
	return err
}

// nullJSON stores a nil list as null.
func nullJSON[T any](list []T) (sql.NullString, error) {
	if list == nil {
		return sql.NullString{}, nil
	}
	b, err := json.Marshal(list)
	return sql.NullString{String: string(b), Valid: true}, err
}

// inboxKey names an inbox.
type inboxKey struct {
	env  model.EnvID
	user model.UserID
}

func (k inboxKey) compare(o inboxKey) int {
	return cmp.Or(cmp.Compare(k.env, o.env), cmp.Compare(k.user, o.user))
}

// bumpInboxes takes the lock of every inbox that has a notification here, in
// key order, counts what enters the inbox, and gives the notifications their
// seq. It returns the changes of the inboxes that something entered.
//
// An inbox that nothing enters is locked all the same: the lock, and the
// foreign key of its row, keep a user from being deleted in between.
func bumpInboxes(ctx context.Context, tx bun.IDB, sends []*model.PendingSend) ([]*model.InboxChange, error) {
	added := make(map[inboxKey]int64)
	for _, p := range sends {
		for i := range p.Notifications {
			n := &p.Notifications[i]
			if k := (inboxKey{n.EnvID, n.UserID}); n.InInbox {
				added[k]++
			} else {
				added[k] += 0
			}
		}
	}
	keys := make([]inboxKey, 0, len(added))
	for k := range added {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, inboxKey.compare)

	moved := make(map[inboxKey]*model.InboxChange, len(keys))
	for chunk := range slices.Chunk(keys, saveChunk) {
		var rows values
		for _, k := range chunk {
			n := added[k]
			rows.row(k.env, k.user, min(n, 1), n, n, n, 0, 0, 0)
		}
		var now []struct {
			EnvID                      model.EnvID
			UserID                     model.UserID
			Seq, Total, Unseen, Unread int64
		}
		err := tx.NewRaw(`insert into inboxes as ib (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
			values `+rows.String()+`
			on conflict (env_id, user_id) do update set seq = ib.seq + excluded.seq,
				total = ib.total + excluded.total, unseen = ib.unseen + excluded.unseen, unread = ib.unread + excluded.unread
			returning env_id, user_id, seq, total, unseen, unread`, rows.args...).Scan(ctx, &now)
		if err != nil {
			return nil, err
		}
		for _, r := range now {
			moved[inboxKey{r.EnvID, r.UserID}] = &model.InboxChange{
				Env: r.EnvID, User: r.UserID, Seq: r.Seq,
				Counters: model.Counters{Total: r.Total, Unseen: r.Unseen, Unread: r.Unread},
			}
		}
	}
	return stamp(sends, keys, moved), nil
}

// stamp gives every notification the seq of its inbox and returns the changes
// of the inboxes that something entered, in the order of keys.
func stamp(sends []*model.PendingSend, keys []inboxKey, moved map[inboxKey]*model.InboxChange) []*model.InboxChange {
	for _, p := range sends {
		for i := range p.Notifications {
			n := &p.Notifications[i]
			c := moved[inboxKey{n.EnvID, n.UserID}]
			n.Seq = c.Seq
			if n.InInbox {
				c.Added = append(c.Added, *n)
			}
		}
	}
	changes := make([]*model.InboxChange, 0, len(keys))
	for _, k := range keys {
		if c := moved[k]; len(c.Added) > 0 {
			slices.SortFunc(c.Added, func(a, b model.Notification) int { return cmp.Compare(a.ID, b.ID) })
			changes = append(changes, c)
		}
	}
	return changes
}

func insertNotifications(ctx context.Context, tx bun.IDB, sends []*model.PendingSend) error {
	var rows values
	n := 0
	flush := func() error {
		if rows.empty() {
			return nil
		}
		_, err := tx.NewRaw(`insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq,
			expires_at, in_inbox, reason) values `+rows.String(), rows.args...).Exec(ctx)
		rows, n = values{}, 0
		return err
	}
	for _, p := range sends {
		for _, m := range p.Notifications {
			rows.row(m.EnvID, m.ID, m.UserID, m.SendID, m.CategoryID, micros(m.SortAt), m.Seq, m.Seq, m.Seq, m.Seq,
				nullMicros(m.ExpiresAt), m.InInbox, int16(m.Reason))
			if n++; n == saveChunk {
				if err := flush(); err != nil {
					return err
				}
			}
		}
	}
	return flush()
}

// unsaved adds model.ErrNotSaved to an error after which it is certain that
// the transaction did not commit: anything but a lost connection, a full disk
// or a context that ended.
func (s *Store) unsaved(err error) error {
	if s.dialect.isUnsure(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) {
		return err
	}
	return errors.Join(err, model.ErrNotSaved)
}
