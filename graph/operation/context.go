package operation

import (
	"context"
	"fmt"
)

type contextKey int

const (
	idempotencyKey contextKey = iota
	lastEventID
	eventKey
)

// IdempotencyKey is the Idempotency-Key header of the request, for the
// resolver of a mutation that is alone in its operation; empty otherwise.
func IdempotencyKey(ctx context.Context) string {
	key, _ := ctx.Value(idempotencyKey).(string)
	return key
}

// LastEventID is the Last-Event-ID header of the request that opens a
// subscription; empty when there is none. It beats a position in the
// arguments: the client's machinery sets it, and knows better.
func LastEventID(ctx context.Context) string {
	id, _ := ctx.Value(lastEventID).(string)
	return id
}

// EventChannel is what a generated subscription resolver returns: a closed
// channel that holds the one event which is being executed.
//
//	func (s *subscription) Inbox(ctx context.Context, …) (<-chan *view.InboxEvent, error) {
//		return operation.EventChannel[*view.InboxEvent](ctx)
//	}
//
// The arguments were read when the subscription was opened, by its [Open].
func EventChannel[T any](ctx context.Context) (<-chan T, error) {
	event, ok := ctx.Value(eventKey).(T)
	if !ok {
		return nil, fmt.Errorf("the event is a %T, and the resolver wants a %T", ctx.Value(eventKey), *new(T))
	}
	events := make(chan T, 1)
	events <- event
	close(events)
	return events, nil
}
