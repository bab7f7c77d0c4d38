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
// channel that holds the one event which is being executed, as show shows it.
//
//	func (s *subscription) Inbox(ctx context.Context, …) (<-chan *view.InboxEvent, error) {
//		return operation.EventChannel(ctx, view.NewInboxEvent)
//	}
//
// The arguments were read when the subscription was opened, by its [Open].
func EventChannel[E, T any](ctx context.Context, show func(E) T) (<-chan T, error) {
	event, ok := ctx.Value(eventKey).(E)
	if !ok {
		return nil, fmt.Errorf("the event is a %T, and the resolver wants a %T", ctx.Value(eventKey), *new(E))
	}
	events := make(chan T, 1)
	events <- show(event)
	close(events)
	return events, nil
}

// Same shows an event as it is.
func Same[T any](event T) T { return event }
