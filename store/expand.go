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
// more, has not come to just where the chunk begins, since another worker was
// there, or has been edited since it was read. Like SaveSends, an error has model.ErrNotSaved in its chain when
// certainly nothing was written.
func (s *Store) SaveChunk(ctx context.Context, c model.Chunk) (saved bool, changes []*model.InboxChange, err error) {
	var (
		moved []movedInbox
		gone  superseded
	)
	err = s.write(ctx, "saving a chunk", func(ctx context.Context, tx bun.Tx) (err error) {
		if saved, err = advance(ctx, tx, c); err != nil || !saved {
			return err
		}
		moved, gone, err = s.insertChunk(ctx, tx, c)
		return err
	})
	if err != nil {
		return false, nil, s.unsaved(err)
	}
	return saved, gone.removed(stamp(pendingOf(c), moved)), nil
}

// pendingOf is a chunk as if it were a send that fires.
func pendingOf(c model.Chunk) []*model.PendingSend {
	return []*model.PendingSend{{Send: c.Send, Fire: true, Notifications: c.Notifications, Deliveries: c.Deliveries}}
}

// advance moves the send to where the chunk ends, if it is where the chunk
// begins. Others who are at the send wait from then on, and see then that it has
// moved.
func advance(ctx context.Context, tx bun.Tx, c model.Chunk) (moved bool, err error) {
	m, p := c.Send, c.Send.Progress
	res, err := tx.NewRaw(`update sends set status = ?, audience = case when ? = 'EXPANDING' then audience end,
			reached = ?, total = ?, done = ?, skipped = ?, failed = ?
		where env_id = ? and id = ? and status = 'EXPANDING' and reached = ? and edition = ?`,
		m.Status, m.Status, c.Reached, p.Total, p.Done, p.Skipped, p.Failed, m.EnvID, m.ID, c.After, m.Content.Edition).Exec(ctx)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// insertChunk writes what a chunk has besides its send's progress, and takes away
// what it supersedes.
func (s *Store) insertChunk(ctx context.Context, tx bun.Tx, c model.Chunk) (moved []movedInbox, gone superseded, err error) {
	if s.dialect.arrays {
		moved, err = insertChunkAtOnce(ctx, tx.Tx, c)
	} else {
		moved, err = s.insertChunkInSteps(ctx, tx, c)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := stampEdition(ctx, tx, c); err != nil {
		return nil, nil, err
	}
	if err := s.insertDeliveries(ctx, tx, c.Deliveries); err != nil {
		return nil, nil, err
	}
	if err := s.tellChunk(ctx, tx, c); err != nil {
		return nil, nil, err
	}
	gone, err = s.supersede(ctx, tx, pendingOf(c), moved)
	return moved, gone, err
}

// tellChunk tells of what a chunk brings about.
func (s *Store) tellChunk(ctx context.Context, tx bun.IDB, c model.Chunk) error {
	heard, err := s.hears(ctx, tx, c.Send.EnvID, model.EventNotificationCreated, model.EventDeliverySkipped)
	if err != nil || !heard {
		return err
	}
	return s.tell(ctx, tx, createdEvents(pendingOf(c)))
}
