package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
	var rows []sendRow
	err = s.r.NewRaw("select "+sendColumns+`, recipients from sends
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
		if err := json.Unmarshal([]byte(r.Recipients.String), &d.Recipients); err != nil {
			return nil, next, fmt.Errorf("decoding recipients of send %d: %w", r.ID, err)
		}
		due = append(due, d)
	}
	return due, next, nil
}

// CancelSend cancels a send that is still scheduled. A send in another state is
// a KindConflict error that names the state, an unknown one KindNotFound.
func (s *Store) CancelSend(ctx context.Context, env model.EnvID, o model.Once, id model.SendID) (model.Outcome[model.Send], error) {
	return once(ctx, s, env, o, "cancelling send", func(ctx context.Context, tx bun.Tx) (model.Send, error) {
		var row sendRow
		err := tx.NewRaw("update sends set status = 'CANCELED', recipients = null where env_id = ? and id = ? and status = 'SCHEDULED' returning "+sendColumns, env, id).Scan(ctx, &row)
		if err == nil {
			return row.model()
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return model.Send{}, err
		}
		list, err := s.sends(ctx, tx, "where env_id = ? and id = ?", env, id)
		switch {
		case err != nil:
			return model.Send{}, err
		case len(list) == 0:
			return model.Send{}, model.NotFound("names no send", "id")
		default:
			return model.Send{}, model.Conflict(fmt.Sprintf("names a send that is %s: only a SCHEDULED one can be cancelled", list[0].Status), "id")
		}
	})
}
