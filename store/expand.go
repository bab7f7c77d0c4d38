package store

import (
	"context"
	"fmt"

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
		kept  *model.PendingSend
		moved []movedInbox
		gone  superseded
		left  leftBehind
	)
	err = s.write(ctx, "saving a chunk", func(ctx context.Context, tx bun.Tx) (err error) {
		if saved, err = advance(ctx, tx, c); err != nil || !saved {
			return err
		}
		if c, err = s.leaveWritten(ctx, tx, c); err != nil {
			return fmt.Errorf("looking for what is written: %w", err)
		}
		if kept, err = s.keptOf(ctx, tx, c); err != nil {
			return err
		}
		moved, gone, err = s.insertChunk(ctx, tx, kept, &left)
		return err
	})
	if err != nil {
		return false, nil, s.unsaved(err)
	}
	if !saved {
		return false, nil, nil
	}
	all := []*model.PendingSend{kept, {Notifications: left.notifications}}
	return true, gone.removed(stamp(all, append(moved, left.moved...))), nil
}

// keptOf is a chunk as if it were a send that fires, without those whom its
// dedupe key leaves out.
func (s *Store) keptOf(ctx context.Context, tx bun.Tx, c model.Chunk) (*model.PendingSend, error) {
	p := &model.PendingSend{Send: c.Send, Fire: true, Notifications: c.Notifications, Deliveries: c.Deliveries}
	if len(p.Notifications) == 0 {
		return p, nil
	}
	options, err := s.sendOptions(ctx, tx, c.Send.EnvID, []model.SendID{c.Send.ID})
	if err != nil {
		return nil, err
	}
	p.Options = options[c.Send.ID]
	kept, twice, err := s.deduplicate(ctx, tx, []*model.PendingSend{p})
	if err != nil {
		return nil, fmt.Errorf("looking for duplicates: %w", err)
	}
	var skips values
	for _, id := range c.Named {
		if name, left := twice[c.Send.ID][id]; left {
			skips.row(c.Send.EnvID, c.Send.ID, name, model.ReasonDuplicate)
		}
	}
	return kept[0], insertSkips(ctx, tx, skips)
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
func (s *Store) insertChunk(ctx context.Context, tx bun.Tx, p *model.PendingSend, left *leftBehind) (moved []movedInbox, gone superseded, err error) {
	apart, err := s.halves(ctx, tx, p)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case apart:
		moved, err = s.insertHalves(ctx, tx, p, left)
	case s.dialect.arrays:
		moved, err = insertChunkAtOnce(ctx, tx.Tx, p, chunkStatement)
	default:
		moved, err = s.insertChunkInSteps(ctx, tx, p)
	}
	if err != nil {
		return nil, nil, err
	}
	if err := stampEdition(ctx, tx, p); err != nil {
		return nil, nil, err
	}
	if err := s.insertDeliveries(ctx, tx, p.Deliveries); err != nil {
		return nil, nil, err
	}
	if err := s.tellChunk(ctx, tx, p); err != nil {
		return nil, nil, err
	}
	gone, err = s.supersede(ctx, tx, []*model.PendingSend{p}, moved)
	return moved, gone, err
}

// tellChunk tells of what a chunk brings about.
func (s *Store) tellChunk(ctx context.Context, tx bun.IDB, p *model.PendingSend) error {
	heard, err := s.hears(ctx, tx, p.Send.EnvID, model.EventNotificationCreated, model.EventDeliverySkipped)
	if err != nil || !heard {
		return err
	}
	return s.tell(ctx, tx, createdEvents([]*model.PendingSend{p}))
}
