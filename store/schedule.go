package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// DueSends reads scheduled sends of every environment whose time has come, in
// the order in which they fire: (sendAt, id). It begins after the given one
// (nil: at the first) and returns at most limit. Reading claims nothing:
// SaveSends decides who fires a send. next is the time of the first send that
// is not yet due; zero: there is none, or limit was reached.
func (s *Store) DueSends(ctx context.Context, now time.Time, after *model.PageKey, limit int) (due []model.DueSend, next time.Time, err error) {
	from := model.PageKey{At: time.UnixMicro(0)}
	if after != nil {
		from = *after
	}
	var rows []struct {
		sendRow
		Options sql.NullString
	}
	err = s.r.NewRaw("select "+sendColumns+`, audience,
			(select o.options from send_options o where o.env_id = sends.env_id and o.send_id = sends.id) as options from sends
		where status = 'SCHEDULED' and (send_at, id) > (?, ?) order by send_at, id limit ?`, micros(from.At), from.ID, limit).Scan(ctx, &rows)
	if err != nil {
		return nil, next, s.fail("reading due sends", err)
	}
	for _, r := range rows {
		m, err := r.model()
		if err != nil {
			return nil, next, err
		}
		if m.SendAt.After(now) {
			return due, m.SendAt, nil
		}
		d := model.DueSend{Send: m}
		if d.Audience, err = r.audience(); err != nil {
			return nil, next, err
		}
		if d.Options, err = decodeOptions(r.Options); err != nil {
			return nil, next, err
		}
		due = append(due, d)
	}
	return due, next, nil
}

// CancelSend cancels a send that is still scheduled or being expanded; what it
// has written stays, and is counted, also what was written ahead. A send in
// another state is a KindConflict error that names the state, an unknown one
// KindNotFound.
func (s *Store) CancelSend(ctx context.Context, env model.EnvID, o model.Once, id model.SendID) (model.Outcome[model.Send], error) {
	return once(ctx, s, env, o, "cancelling send", func(ctx context.Context, tx bun.Tx) (model.Send, error) {
		m, err := s.holdSend(ctx, tx, env, id)
		if err != nil {
			return m, err
		}
		if m.Status != model.SendScheduled && m.Status != model.SendExpanding {
			return m, model.Conflict(fmt.Sprintf("names a send that is %s: only a SCHEDULED or EXPANDING one can be cancelled", m.Status), "id")
		}
		var row sendRow
		if err := tx.NewRaw(`update sends set status = 'CANCELED', audience = null, done = done + (select count(*) from notifications n
				where n.env_id = sends.env_id and n.send_id = sends.id and n.user_id > sends.reached and n.in_inbox)
			where env_id = ? and id = ? returning `+sendColumns, env, id).Scan(ctx, &row); err != nil {
			return m, err
		}
		return row.model()
	})
}
