package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"carillon/model"
)

// NextExpansion reads the send whose chunk should be next. Environments take
// turns, beginning with the one after the given one; within an environment it
// is first come, first served. Sends in except are passed over. Reading claims
// nothing: ExpandChunk does.
func (s *Store) NextExpansion(ctx context.Context, after model.EnvID, except []model.SendID) (m model.Send, found bool, err error) {
	for _, from := range []model.EnvID{after, 0} {
		where := conditions{}
		where.add("status = 'EXPANDING'")
		where.add("env_id > ?", from)
		if len(except) > 0 {
			where.add("id not in (?)", bun.List(except))
		}
		list, err := s.sends(ctx, s.r, where.sql()+" order by env_id, fired_at, id limit 1", where.args...)
		if err != nil {
			return m, false, s.fail("finding the next send to expand", err)
		}
		if len(list) > 0 {
			return list[0], true, nil
		}
	}
	return m, false, nil
}

// ExpandChunk serves the next recipients of a send that is EXPANDING, in one
// transaction: their notifications, what these change in inboxes, and how far
// the send has come by then. So a chunk that is cut short leaves nothing
// behind, and the next one begins where the last that was committed ended. The
// transaction's lock on the send keeps other workers away and goes with it.
//
// decide is asked about each recipient, perhaps more than once. The last chunk
// makes the send SENT; so does the first after its notifications would have
// expired, whose recipients are left out.
func (s *Store) ExpandChunk(ctx context.Context, c model.Chunk, decide model.Decide) (model.ChunkResult, error) {
	var out model.ChunkResult
	err := s.write(ctx, "expanding send", func(ctx context.Context, tx bun.Tx) error {
		e, err := s.lockExpansion(ctx, tx, c)
		if errors.Is(err, sql.ErrNoRows) {
			out = model.ChunkResult{Lost: true}
			return nil
		}
		if err != nil {
			return err
		}
		out, err = e.serve(ctx, decide)
		return err
	})
	if err != nil {
		return model.ChunkResult{}, s.unsaved(err)
	}
	return out, nil
}

// expansion is a send that is being expanded by a transaction.
type expansion struct {
	s       *Store
	tx      bun.Tx
	chunk   model.Chunk
	send    model.Send
	query   model.AudienceQuery
	reached model.UserID // users up to it have been dealt with
	over    bool         // nobody comes after this chunk
}

// lockExpansion takes the send from all other workers until the transaction
// ends. It is sql.ErrNoRows when another has it, and when it is no longer to
// be expanded.
func (s *Store) lockExpansion(ctx context.Context, tx bun.Tx, c model.Chunk) (*expansion, error) {
	var row struct {
		sendRow
		Reached model.UserID
	}
	err := tx.NewRaw("select "+sendColumns+", audience, reached from sends where env_id = ? and id = ? and status = 'EXPANDING'"+s.dialect.skipLocked,
		c.Env, c.Send).Scan(ctx, &row)
	if err != nil {
		return nil, err
	}
	e := &expansion{s: s, tx: tx, chunk: c, reached: row.Reached}
	if e.send, err = row.model(); err != nil {
		return nil, err
	}
	e.query = model.AudienceQuery{Env: c.Env, AcceptedAt: e.send.CreatedAt, Categories: c.Categories, Addresses: c.Addresses, Limit: len(c.IDs)}
	e.query.Audience, err = row.audience()
	return e, err
}

// serve works on the chunk: who is next, what is decided for them, and all of
// that, with how far the send has come, into the database.
func (e *expansion) serve(ctx context.Context, decide model.Decide) (out model.ChunkResult, err error) {
	p := &e.send.Progress
	if p.Total < 0 {
		n, err := audienceSize(ctx, e.tx, e.query)
		if err != nil {
			return out, fmt.Errorf("counting recipients: %w", err)
		}
		p.Total = n + p.Skipped
	}
	var list []model.Notification
	if m := e.send; !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(e.chunk.Now) {
		p.Skipped = max(p.Skipped, p.Total-p.Done-p.Failed)
		e.over = true
	} else if list, err = e.plan(ctx, decide); err != nil {
		return out, fmt.Errorf("reading recipients: %w", err)
	}
	p.Total = max(p.Total, p.Done+p.Skipped+p.Failed)
	if e.over {
		p.Total = p.Done + p.Skipped + p.Failed
		e.send.Status = model.SendSent
	}
	var moved []movedInbox
	if e.s.dialect.arrays {
		moved, err = e.saveAtOnce(ctx, list)
	} else {
		moved, err = e.saveInSteps(ctx, list)
	}
	return model.ChunkResult{Send: e.send, Used: len(list), Changes: stamp(e.pending(list), moved)}, err
}

// plan makes the notifications of the next recipients and counts them.
func (e *expansion) plan(ctx context.Context, decide model.Decide) ([]model.Notification, error) {
	found, err := e.s.audience(ctx, e.tx, e.query, e.reached)
	if err != nil {
		return nil, err
	}
	if e.over = !found.more; found.last != 0 {
		e.reached = found.last
	}
	m, p := e.send, &e.send.Progress
	p.Skipped += found.absent
	if e.chunk.GiveUp {
		p.Failed += int64(len(found.list))
		return nil, nil
	}
	list := make([]model.Notification, len(found.list))
	content := m.Content // on its own, so that streams keep it and not the chunk
	for i, r := range found.list {
		inInbox, reason, reached := decide(r)
		if reached {
			p.Done++
		} else {
			p.Skipped++
		}
		list[i] = model.Notification{
			ID: model.NotificationID(e.chunk.IDs[i]), EnvID: m.EnvID, UserID: r.ID, SendID: m.ID, CategoryID: m.CategoryID, Content: &content,
			InInbox: inInbox, Reason: reason, SortAt: m.FiredAt, CreatedAt: m.FiredAt, ExpiresAt: m.ExpiresAt,
		}
	}
	return list, nil
}

// pending puts notifications of the send, which is saved already, as what
// saves them wants it.
func (e *expansion) pending(list []model.Notification) []*model.PendingSend {
	return []*model.PendingSend{{Send: e.send, Fire: true, Notifications: list}}
}
