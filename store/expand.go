package store

import (
	"context"
	"errors"
	"sync"

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

// SaveChunks writes one chunk of a send, or two of which the second begins where
// the first ends: the notifications, what they change in inboxes, and how far
// the send has come with them. Each chunk is one transaction, and they are
// committed in order. So one that is cut short leaves nothing behind, and the
// next begins where the last that was committed ended.
//
// saved is how many of the chunks were committed, and changes are what these
// changed, also when err says why the next one was not. It was not without an error
// when the send is not EXPANDING any more, or has not come to just where
// the chunk begins: another worker was there. Like SaveSends, an error has
// model.ErrNotSaved in its chain when the chunk was certainly not written.
func (s *Store) SaveChunks(ctx context.Context, chunks []model.Chunk) (saved int, changes []*model.InboxChange, err error) {
	write := s.saveInOrder
	if s.dialect.arrays && len(chunks) == 2 {
		write = s.saveAbreast
	}
	for _, c := range write(ctx, chunks) {
		if c.err != nil {
			return saved, changes, s.unsaved(s.fail("saving a chunk", c.err))
		}
		if !c.saved {
			break
		}
		saved++
		changes = append(changes, c.changes...)
	}
	return saved, changes, nil
}

// chunkSave is what became of a chunk.
type chunkSave struct {
	saved   bool
	changes []*model.InboxChange
	err     error
}

// saveInOrder writes chunks one after the other, until one is not saved.
func (s *Store) saveInOrder(ctx context.Context, chunks []model.Chunk) (out []chunkSave) {
	for _, c := range chunks {
		done := s.saveChunk(ctx, c, func() {})
		if out = append(out, done); !done.saved {
			break
		}
	}
	return out
}

// saveAbreast writes two chunks at the same time: a connection keeps one
// processor of the database busy, and waits while the disk does. The second
// begins as soon as the first has the send's row, so that no two workers do it
// for one send, and asks for that row last, when it must wait for the first to
// commit. It holds inboxes then, of users above those of the first: inboxes are
// locked from the highest to the lowest, so nobody whom the first waits for
// waits for these.
func (s *Store) saveAbreast(ctx context.Context, chunks []model.Chunk) []chunkSave {
	var (
		out   = make([]chunkSave, 2)
		leads = make(chan struct{})
		ended = make(chan struct{})
		tell  = sync.OnceFunc(func() { close(leads) })
	)
	go func() {
		defer close(ended)
		out[0] = s.saveChunk(ctx, chunks[0], tell)
	}()
	select {
	case <-leads:
	case <-ended: // it was not saved, or quickly
		if !out[0].saved {
			return out
		}
	}
	out[1] = s.saveBehind(ctx, chunks[1])
	<-ended
	return out
}

// saveChunk writes a chunk, if its send is where it begins. Others who are at
// the send wait from when leads is called, and see then that it has moved.
func (s *Store) saveChunk(ctx context.Context, c model.Chunk, leads func()) (out chunkSave) {
	var (
		moved []movedInbox
		gone  superseded
	)
	out.err = s.write(ctx, "saving a chunk", func(ctx context.Context, tx bun.Tx) (err error) {
		if out.saved, err = advance(ctx, tx, c); err != nil || !out.saved {
			return err
		}
		leads()
		moved, gone, err = s.insertChunk(ctx, tx, c)
		return err
	})
	return out.stamped(c, moved, gone)
}

// saveBehind writes a chunk, and takes it back unless the one before was saved.
func (s *Store) saveBehind(ctx context.Context, c model.Chunk) (out chunkSave) {
	var (
		moved []movedInbox
		gone  superseded
	)
	out.err = s.write(ctx, "saving a chunk", func(ctx context.Context, tx bun.Tx) (err error) {
		out.saved = false
		if moved, gone, err = s.insertChunk(ctx, tx, c); err != nil {
			return err
		}
		// Until the first has committed, its send is not where this chunk begins to
		// a statement that only compares.
		if _, err = tx.NewRaw("select 1 from sends where env_id = ? and id = ?"+s.dialect.forChange, c.Send.EnvID, c.Send.ID).Exec(ctx); err != nil {
			return err
		}
		if out.saved, err = advance(ctx, tx, c); err == nil && !out.saved {
			err = errBehind
		}
		return err
	})
	if errors.Is(out.err, errBehind) {
		return chunkSave{}
	}
	return out.stamped(c, moved, gone)
}

// errBehind takes back a chunk whose send has not come to where it begins.
var errBehind = errors.New("the send has not come to this chunk")

func (out chunkSave) stamped(c model.Chunk, moved []movedInbox, gone superseded) chunkSave {
	if out.err != nil || !out.saved {
		return chunkSave{err: out.err}
	}
	out.changes = gone.removed(stamp([]*model.PendingSend{{Send: c.Send, Notifications: c.Notifications}}, moved))
	return out
}

// advance moves the send to where the chunk ends, if it is where the chunk begins.
func advance(ctx context.Context, tx bun.Tx, c model.Chunk) (moved bool, err error) {
	m, p := c.Send, c.Send.Progress
	res, err := tx.NewRaw(`update sends set status = ?, audience = case when ? = 'EXPANDING' then audience end,
			reached = ?, total = ?, done = ?, skipped = ?, failed = ?
		where env_id = ? and id = ? and status = 'EXPANDING' and reached = ?`,
		m.Status, m.Status, c.Reached, p.Total, p.Done, p.Skipped, p.Failed, m.EnvID, m.ID, c.After).Exec(ctx)
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
	if err := s.insertDeliveries(ctx, tx, c.Deliveries); err != nil {
		return nil, nil, err
	}
	if err := s.tellChunk(ctx, tx, c); err != nil {
		return nil, nil, err
	}
	gone, err = s.supersede(ctx, tx, []*model.PendingSend{{Send: c.Send, Fire: true, Notifications: c.Notifications}}, moved)
	return moved, gone, err
}

// tellChunk tells of what a chunk brings about.
func (s *Store) tellChunk(ctx context.Context, tx bun.IDB, c model.Chunk) error {
	heard, err := s.hears(ctx, tx, c.Send.EnvID, model.EventNotificationCreated, model.EventDeliverySkipped)
	if err != nil || !heard {
		return err
	}
	return s.tell(ctx, tx, createdEvents([]*model.PendingSend{{Send: c.Send, Notifications: c.Notifications, Deliveries: c.Deliveries}}))
}
