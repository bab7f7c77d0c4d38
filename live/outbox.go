package live

import (
	"context"
	"slices"
	"sync"
	"time"

	"carillon/model"
)

const (
	// outboxLimit is how many hints may wait to be sent. It is a third of a
	// second of the largest fan-out, and some megabytes.
	outboxLimit = 16 << 10
	// sendBatch is how many hints go to the bus in one call.
	sendBatch = 1 << 10
	// sendBudget is how long one call of the bus may take before the link is
	// taken for broken. No request waits for it.
	sendBudget = 500 * time.Millisecond
	// sendPause is how long nothing is sent, or kept for sending, after a call
	// failed. It is shorter than the healing interval, which covers it.
	sendPause = time.Second
)

// outbox holds the hints that the bus has yet to carry.
type outbox struct {
	mu      sync.Mutex
	waiting []model.Hint
	shut    bool // take no more: the bus is away
	wake    chan struct{}
}

// put adds hints and returns how many found no room.
func (o *outbox) put(hints []model.Hint) (left int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.shut {
		return len(hints)
	}
	n := min(len(hints), outboxLimit-len(o.waiting))
	o.waiting = append(o.waiting, hints[:n]...)
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return len(hints) - n
}

// take returns what waits; it is put into the empty slice spare from now on.
func (o *outbox) take(spare []model.Hint) []model.Hint {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.waiting
	o.waiting = spare
	return all
}

// close throws away what waits, returns how much that was, and takes no more.
func (o *outbox) close() (lost int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lost = len(o.waiting)
	o.waiting, o.shut = nil, true
	return lost
}

func (o *outbox) open() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shut = false
}

// send gives the bus what is published, all that has gathered at once, until
// ctx is done. A call that fails costs everything that waits and a pause: what
// would be sent late has been found by healing meanwhile.
func (h *Hub) send(ctx context.Context) {
	var spare []model.Hint
	var failing bool
	for {
		select {
		case <-ctx.Done():
			h.sendLast(ctx)
			return
		case <-h.outbox.wake:
		}
		all := h.outbox.take(spare)
		spare = all[:0]
		if len(all) == 0 {
			continue // woken for what was thrown away
		}
		err := h.sendAll(context.WithoutCancel(ctx), all)
		clear(all) // the changes in it are done with
		if (err != nil) != failing {
			failing = err != nil
			h.logSending(ctx, err)
		}
		if err == nil {
			continue
		}
		h.drop(h.outbox.close())
		wait(ctx, sendPause)
		h.outbox.open()
	}
}

// sendLast lets out what was published before the shutdown.
func (h *Hub) sendLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendBudget)
	defer cancel()
	if err := h.sendAll(ctx, h.outbox.take(nil)); err != nil {
		h.logSending(ctx, err)
	}
	h.drop(h.outbox.close())
}

func (h *Hub) sendAll(ctx context.Context, all []model.Hint) error {
	sent := 0
	for batch := range slices.Chunk(all, sendBatch) {
		within, cancel := context.WithTimeout(ctx, sendBudget)
		err := h.bus.Publish(within, batch)
		cancel()
		if err != nil {
			h.drop(len(all) - sent)
			return err
		}
		sent += len(batch)
		h.count.sent.Add(int64(len(batch)))
	}
	return nil
}

func (h *Hub) drop(hints int) { h.count.dropped.Add(int64(hints)) }

func (h *Hub) logSending(ctx context.Context, err error) {
	if err != nil {
		h.log.WarnContext(ctx, "the live bus takes no hints; other processes will find changes by comparing", "error", err)
		return
	}
	h.log.InfoContext(ctx, "the live bus takes hints again")
}

// wait returns after d, or when ctx is done.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
