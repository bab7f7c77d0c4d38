package transport

import (
	"context"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/graph/operation"
	"carillon/model"
)

// run prepares an operation and runs it, or opens its stream.
func (s *socket) run(o *running, p operation.Params) {
	ctx, cancel := s.begin(o)
	defer cancel()
	op, errs := s.h.engine.Prepare(ctx, p)
	switch {
	case errs != nil:
		s.fail(o, errs)
	case op.Kind() == ast.Subscription:
		s.follow(ctx, o, op)
	default:
		if op.Kind() == ast.Mutation {
			s.mu.Lock()
			o.mutates = true
			s.mu.Unlock()
		}
		s.answer(o, s.h.engine.Execute(ctx, op))
	}
}

// begin returns the context of an operation, which ends in time, with the
// socket, and when the client has enough of it. A context of the socket's own
// for that would cost every socket that waits more than all the rest of it.
func (s *socket) begin(o *running) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.ctx, s.h.settings.RequestTimeout)
	if o.gone {
		cancel()
	}
	o.cancel = cancel
	return ctx, func() {
		cancel()
		s.mu.Lock()
		o.cancel = nil
		s.mu.Unlock()
	}
}

// answer ends an operation with its only result.
func (s *socket) answer(o *running, resp *operation.Response) {
	if resp.Data == nil { // nothing ran, or not to its end
		s.fail(o, resp.Errors)
		return
	}
	buffer := getBuffer()
	s.end(o, result{answerFrames(buffer, o.id, resp), buffer})
}

// fail ends an operation with errors; there is no complete after them.
func (s *socket) fail(o *running, errs gqlerror.List) {
	buffer := getBuffer()
	s.end(o, result{errorFrame(buffer, o.id, errs), buffer})
}

// end takes an operation out and has its last frames written, unless nobody
// listens any more.
func (s *socket) end(o *running, r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.remove(o); ok { // it has no stream
		s.results = append(s.results, r)
	} else {
		putBuffer(r.buffer)
		s.landed()
	}
	s.schedule()
}

// follow opens the stream of a subscription.
func (s *socket) follow(ctx context.Context, o *running, op *operation.Operation) {
	s.mu.Lock()
	full := s.streams >= s.h.settings.Subscriptions
	if !full {
		s.streams++ // held while it is being opened
	}
	s.mu.Unlock()
	if full {
		s.fail(o, s.h.engine.Present(ctx, model.Errorf(model.KindLimit,
			"one socket may have at most %d subscriptions", s.h.settings.Subscriptions)))
		return
	}
	stream, errs := s.openStream(ctx, o, op)
	if errs != nil {
		s.mu.Lock()
		s.streams--
		gone := o.gone
		s.mu.Unlock()
		if away(errs) && !gone {
			// As when a stream that runs finds the database away: clients come
			// back by themselves, which no error on one id would make them do.
			s.close(closeComeBack, "the database is away, or the server is busy: try again later")
		}
		s.fail(o, errs)
		return
	}

	s.mu.Lock()
	s.landed()
	if o.gone { // the socket closes, too, by making its operations so
		s.streams--
		s.schedule()
		s.mu.Unlock()
		stream.Close()
		return
	}
	s.h.stats.Subscriptions.Add(1)
	o.stream = stream
	o.ready.Store(true) // the first event comes unasked
	s.schedule()
	s.mu.Unlock()
}

// How long a subscription that cannot be opened now waits before it is tried
// again: at first, and at most.
const (
	firstWait = 50 * time.Millisecond
	longWait  = time.Second
)

// openStream opens a stream. While the database is away, or the server is busy, it
// tries again as long as the operation has time.
func (s *socket) openStream(ctx context.Context, o *running, op *operation.Operation) (stream *operation.Stream, errs gqlerror.List) {
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		if stream, errs = s.h.engine.Subscribe(ctx, op, o.wake); !away(errs) {
			return stream, errs
		}
		select {
		case <-ctx.Done():
			return nil, errs
		case <-s.h.leaving:
			return nil, errs
		case <-time.After(wait):
		}
	}
}

// away reports whether errors say to come back later.
func away(errs gqlerror.List) bool {
	return len(errs) > 0 && operation.CodeOf(errs[0]) == string(model.KindUnavailable)
}
