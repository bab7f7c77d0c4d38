package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// closedSend is true of a send s that makes no notifications any more, or is
// not there: what it made may be forgotten, as no re-run can make it again.
const closedSend = "(s.id is null or s.status in ('SENT', 'CANCELED'))"

// TrimTombstones deletes up to limit tombstones, with their deliveries, that
// were made before a time and whose send is closed, oldest first, and returns
// how many. A send goes with the last of its notifications. Inboxes remember up to which seq something is missing, so that a
// stream from before begins anew. No counter and no seq moves. Several
// processes may do this at once.
func (s *Store) TrimTombstones(ctx context.Context, before time.Time, limit int) (n int, err error) {
	var due []dueNotification
	err = s.r.NewRaw(`select n.env_id, n.user_id, n.id from notifications n left join sends s on s.env_id = n.env_id and s.id = n.send_id
		where n.deleted_at is not null and n.deleted_at < ? and `+closedSend+` order by n.deleted_at limit ?`, micros(before), limit).Scan(ctx, &due)
	if err != nil || len(due) == 0 {
		return 0, s.fail("reading old tombstones", err)
	}
	err = s.write(ctx, "trimming tombstones", func(ctx context.Context, tx bun.Tx) error {
		if _, err := s.lockInboxes(ctx, tx, due); err != nil {
			return fmt.Errorf("locking inboxes: %w", err)
		}
		keys := keysOf(due)
		var gone []struct {
			EnvID  model.EnvID
			UserID model.UserID
			SendID model.SendID
			Seq    int64
		}
		err := tx.NewRaw("delete from notifications where (env_id, id) in (values "+keys.String()+") and deleted_at is not null returning env_id, user_id, send_id, seq", keys.args...).Scan(ctx, &gone)
		if err != nil {
			return fmt.Errorf("deleting: %w", err)
		}
		if _, err := tx.NewRaw("delete from attempts where (env_id, delivery_id) in (select d.env_id, d.id from deliveries d where (d.env_id, d.notification_id) in (values "+keys.String()+"))", keys.args...).Exec(ctx); err != nil {
			return fmt.Errorf("deleting attempts: %w", err)
		}
		if _, err := tx.NewRaw("delete from deliveries where (env_id, notification_id) in (values "+keys.String()+")", keys.args...).Exec(ctx); err != nil {
			return fmt.Errorf("deleting deliveries: %w", err)
		}
		if _, err := tx.NewRaw("delete from collapses where (env_id, notification_id) in (values "+keys.String()+")", keys.args...).Exec(ctx); err != nil {
			return fmt.Errorf("deleting collapse keys: %w", err)
		}
		if _, err := tx.NewRaw("delete from interactions where (env_id, notification_id) in (values "+keys.String()+")", keys.args...).Exec(ctx); err != nil {
			return fmt.Errorf("deleting interactions: %w", err)
		}
		n = len(gone)
		missing := map[inboxKey]int64{}
		var sends values
		for _, g := range gone {
			k := inboxKey{g.EnvID, g.UserID}
			missing[k] = max(missing[k], g.Seq)
			sends.row(g.EnvID, g.SendID)
		}
		if err := forgetUnheld(ctx, tx, sends); err != nil {
			return err
		}
		return raiseTrimmed(ctx, tx, missing)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// forgetUnheld deletes those of sends, as (environment, id), that are closed and
// that nobody has any more: no user leads to them, so that an erasure would not
// find what they say about one.
func forgetUnheld(ctx context.Context, tx bun.IDB, sends values) error {
	if sends.empty() {
		return nil
	}
	_, err := tx.NewRaw("delete from sends as s where (s.env_id, s.id) in (values "+sends.String()+") and "+closedSend+`
		and not exists (select 1 from notifications n where n.env_id = s.env_id and n.send_id = s.id)`, sends.args...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("deleting sends: %w", err)
	}
	return nil
}

// raiseTrimmed notes up to which seq something is missing in inboxes, whose
// locks are held.
func raiseTrimmed(ctx context.Context, tx bun.IDB, missing map[inboxKey]int64) error {
	if len(missing) == 0 {
		return nil
	}
	var rows values
	for k, seq := range missing {
		rows.row(k.env, k.user, seq)
	}
	_, err := tx.NewRaw(`with k (env_id, user_id, seq) as (values `+rows.String()+`)
		update inboxes as i set trimmed_to = k.seq from k where i.env_id = k.env_id and i.user_id = k.user_id and i.trimmed_to < k.seq`, rows.args...).Exec(ctx)
	if err != nil {
		return fmt.Errorf("noting what is missing: %w", err)
	}
	return nil
}

// TrimMarks goes on with a walk through the mark-alls that were made before a
// time, oldest first: it looks at up to limit of them and deletes those that no
// item of their inbox has its time from. It returns where to go on, and how
// many it deleted. As with tombstones, a stream from before begins anew.
func (s *Store) TrimMarks(ctx context.Context, before time.Time, after model.InboxCursor, limit int) (next model.InboxCursor, n int, err error) {
	var rows []struct {
		At     int64
		EnvID  model.EnvID
		UserID model.UserID
	}
	err = s.r.NewRaw(`select at, env_id, user_id from inbox_marks where at < ? and (at, env_id, user_id) > (?, ?, ?) order by at, env_id, user_id limit ?`,
		micros(before), after.At, after.Env, after.User, limit).Scan(ctx, &rows)
	if err != nil {
		return after, 0, s.fail("reading old marks", err)
	}
	seen := map[inboxKey]bool{}
	for _, r := range rows {
		k := inboxKey{r.EnvID, r.UserID}
		if seen[k] {
			continue
		}
		seen[k] = true
		trimmed, err := s.trimMarksOf(ctx, k, micros(before))
		if err != nil {
			return after, n, err
		}
		n += trimmed
	}
	if len(rows) < limit {
		return model.InboxCursor{}, n, nil
	}
	last := rows[len(rows)-1]
	return model.InboxCursor{At: last.At, Env: last.EnvID, User: last.UserID}, n, nil
}

// trimMarksOf deletes what it may of the old marks of one inbox. An item has
// its time from the first mark that covers it, so deleting those that are no
// item's first changes nothing that is shown; nor what an item was at any seq,
// which the same marks say.
func (s *Store) trimMarksOf(ctx context.Context, k inboxKey, before int64) (n int, err error) {
	err = s.write(ctx, "trimming marks", func(ctx context.Context, tx bun.Tx) error {
		n = 0
		inbox, found, err := s.lockInbox(ctx, tx, k.env, k.user)
		if !found || err != nil {
			if model.KindOf(err) == model.KindNotFound { // the marks go with the user
				return nil
			}
			return err
		}
		var missing int64
		for kind, bit := range map[int]struct {
			name string
			upTo int64
		}{markKindSeen: {"seen", inbox.SeenUpTo}, markKindRead: {"read", inbox.ReadUpTo}} {
			var seqs []int64
			err := tx.NewRaw(fmt.Sprintf(`delete from inbox_marks where env_id = ?0 and user_id = ?1 and kind = ?2 and at < ?3 and up_to_seq not in (
					select coalesce((select min(m.up_to_seq) from inbox_marks m where m.env_id = ?0 and m.user_id = ?1 and m.kind = ?2 and m.up_to_seq >= abs(n.%[1]s_seq)), 0)
					from notifications n where n.env_id = ?0 and n.user_id = ?1 and n.in_inbox and n.deleted_at is null and n.%[1]s_at is null and abs(n.%[1]s_seq) <= ?4)
				returning seq`, bit.name), k.env, k.user, kind, before, bit.upTo).Scan(ctx, &seqs)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return fmt.Errorf("deleting: %w", err)
			}
			n += len(seqs)
			for _, seq := range seqs {
				missing = max(missing, seq)
			}
		}
		return raiseTrimmed(ctx, tx, map[inboxKey]int64{k: missing})
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}
