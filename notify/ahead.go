package notify

import (
	"context"
	"time"

	"carillon/model"
)

// ahead is the next part of an audience, read while the one before it is being
// written: reading and writing keep two processors busy.
type ahead struct {
	send  model.SendID
	after model.UserID
	limit int
	at    time.Time
	done  chan struct{} // closed when the rest is there
	part  model.AudiencePart
	err   error
}

// read reads the part of an audience that q asks for, or takes what was read
// ahead.
func (e *expander) read(ctx context.Context, id model.SendID, q model.AudienceQuery) (model.AudiencePart, error) {
	a := e.ahead
	e.ahead = nil
	if a != nil && a.send == id && a.after == q.After && a.limit == q.Limit && time.Since(a.at) < fresh {
		select {
		case <-a.done:
			if a.err == nil {
				return a.part, nil
			}
		case <-ctx.Done():
		}
	}
	return e.Store.Audience(ctx, q)
}

// readAhead begins to read what follows in the audience of a send, when the
// next chunk is likely to be its: the last one was.
func (e *expander) readAhead(ctx context.Context, id model.SendID, q model.AudienceQuery, after model.UserID) {
	if e.last != id {
		return
	}
	q.After = after
	a := &ahead{send: id, after: after, limit: q.Limit, at: time.Now(), done: make(chan struct{})}
	e.ahead = a
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), chunkTime)
	go func() {
		defer close(a.done)
		defer cancel()
		a.part, a.err = e.Store.Audience(ctx, q)
	}()
}
