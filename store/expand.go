package store

import (
	"context"

	"github.com/uptrace/bun"

	"carillon/model"
)

// NextExpansion reads the send whose chunk should be next. Environments take
// turns, beginning with the one after the given one; within an environment it
// is first come, first served. Sends in except are passed over. Reading claims
// nothing: SaveChunk decides whose chunk counts.
func (s *Store) NextExpansion(ctx context.Context, after model.EnvID, except []model.SendID) (e model.Expansion, found bool, err error) {
	for _, from := range []model.EnvID{after, 0} {
		where := conditions{}
		where.add("status = 'EXPANDING'")
		where.add("env_id > ?", from)
		if len(except) > 0 {
			where.add("id not in (?)", bun.List(except))
		}
		var rows []struct {
			sendRow
			Reached model.UserID
		}
		err := s.r.NewRaw("select "+sendColumns+", audience, reached from sends "+where.sql()+" order by env_id, fired_at, id limit 1", where.args...).Scan(ctx, &rows)
		if err != nil {
			return e, false, s.fail("finding the next send to expand", err)
		}
		for _, r := range rows {
			e.Reached = r.Reached
			if e.Send, err = r.model(); err != nil {
				return e, false, err
			}
			e.Audience, err = r.audience()
			return e, true, err
		}
	}
	return e, false, nil
}

// SaveChunk writes the notifications of a chunk, what they change in inboxes,
// and how far its send has come with it, in one transaction. So a chunk that is
// cut short leaves nothing behind, and the next begins where the last that was
// committed ended.
//
// saved is false, and nothing was done, when the send is not EXPANDING any
// more, or has not come to just where the chunk begins: another worker was
// there. Like SaveSends, an error has model.ErrNotSaved in its chain when
// certainly nothing was written.
func (s *Store) SaveChunk(ctx context.Context, c model.Chunk) (saved bool, changes []*model.InboxChange, err error) {
	pending := []*model.PendingSend{{Send: c.Send, Fire: true, Notifications: c.Notifications}}
	var moved []movedInbox
	if s.dialect.arrays && len(c.Deliveries) > 0 {
		err = s.write(ctx, "saving a chunk", func(ctx context.Context, tx bun.Tx) error {
			if saved, moved, err = s.saveChunkIn(ctx, tx.Tx, c); err != nil || !saved {
				return err
			}
			return s.insertDeliveries(ctx, tx, c.Deliveries)
		})
	} else if s.dialect.arrays {
		saved, moved, err = s.saveChunkAtOnce(ctx, c)
	} else {
		saved, moved, err = s.saveChunkInSteps(ctx, c, pending)
	}
	if err != nil {
		return false, nil, s.unsaved(s.fail("saving a chunk", err))
	}
	return saved, stamp(pending, moved), nil
}
