package notify

import (
	"context"
	"io"
	"sync"

	"carillon/model"
)

// ProgressStream tells where a send stands: at once, whenever that changes,
// and for the last time when the send is SENT or CANCELED. Close it.
type ProgressStream struct {
	service *Service
	env     model.EnvID
	id      model.SendID
	wake    func()
	cancel  func()

	mu    sync.Mutex
	dirty bool       // the database may know more than last says
	last  model.Send // what was told last; its ID is zero before
	over  bool
}

// WatchProgress opens a stream of a send's progress. wake is called, from any
// goroutine and possibly before WatchProgress returns, when Next may have
// something to tell; it must not wait. A send that does not exist is a
// KindNotFound error.
func (s *Service) WatchProgress(ctx context.Context, env model.EnvID, id model.SendID, wake func()) (*ProgressStream, error) {
	p := &ProgressStream{service: s, env: env, id: id, wake: wake, dirty: true}
	// Watched before it is read: a change in between wakes us.
	p.cancel = s.Live.Watch(model.SendKey(env, id), p)
	if _, err := s.Store.Send(ctx, env, id); err != nil {
		p.cancel()
		return nil, err
	}
	return p, nil
}

// Next returns where the send stands when that has not been told yet, and
// false otherwise; it never waits for a change. After the last state, and when
// the send is no longer there, the error is io.EOF.
func (p *ProgressStream) Next(ctx context.Context) (model.Send, bool, error) {
	p.mu.Lock()
	if p.over {
		p.mu.Unlock()
		return model.Send{}, false, io.EOF
	}
	dirty := p.dirty
	p.dirty = false
	p.mu.Unlock()
	if !dirty {
		return model.Send{}, false, nil
	}

	m, err := p.service.Store.Send(ctx, p.env, p.id)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case model.KindOf(err) == model.KindNotFound:
		p.over = true
		return model.Send{}, false, io.EOF
	case err != nil:
		p.dirty = true
		return model.Send{}, false, err
	case p.last.ID == m.ID && p.last.Status == m.Status && p.last.Progress == m.Progress:
		return model.Send{}, false, nil
	}
	p.last = m
	p.over = m.Status == model.SendSent || m.Status == model.SendCanceled
	return m, true, nil
}

// Close ends the stream.
func (p *ProgressStream) Close() { p.cancel() }

// Offer notes that the send may have moved. It is for the hub.
func (p *ProgressStream) Offer(model.Hint) {
	p.mu.Lock()
	p.dirty = true
	p.mu.Unlock()
	p.wake()
}

// progressHint says that a send has moved to where m stands.
func progressHint(m model.Send) model.Hint {
	return model.Hint{Key: model.SendKey(m.EnvID, m.ID), Seq: m.Head()}
}
