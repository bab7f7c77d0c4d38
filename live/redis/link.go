package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"carillon/live"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 3 * time.Second
)

// Listen keeps a link to Redis until ctx is done. Each link is a connection of
// its own: go-redis would mend one by itself, but says nothing about the gap.
func (b *Bus) Listen(ctx context.Context, to live.Listener) {
	pause := firstPause
	failing := false
	for ctx.Err() == nil {
		stood, err := b.link(ctx, to)
		if ctx.Err() != nil {
			return
		}
		if stood {
			pause, failing = firstPause, false
		}
		if !failing {
			failing = true
			b.log.WarnContext(ctx, "the link to Redis is down; changes made by other processes arrive late", "error", err)
		}
		sleep(ctx, pause/2+rand.N(pause))
		pause = min(2*pause, maxPause)
	}
}

// link connects, subscribes and delivers until the link breaks; stood says
// whether it ever stood.
func (b *Bus) link(ctx context.Context, to live.Listener) (stood bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sub := b.client.Subscribe(ctx) // connects when it first sends
	defer sub.Close()
	// A read does not end with its context, but with its connection.
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()

	k := keeper{bus: b, sub: sub}
	if err := k.round(ctx, false); err != nil {
		return false, err
	}
	kept := make(chan error, 1)
	go func() {
		kept <- k.keep(ctx)
		cancel()
	}()
	r := receiver{bus: b, to: to}
	err = r.receive(ctx, sub)
	b.up.Store(false)
	cancel()
	if keeping := <-kept; keeping != nil {
		err = keeping
	}
	return r.stood, err
}

// keeper holds the subscriptions of one link to what is wanted, and probes it.
type keeper struct {
	bus        *Bus
	sub        *redis.PubSub
	subscribed [shards]bool
}

// keep works until the link fails, for which it returns the reason, or ctx is
// done.
func (k *keeper) keep(ctx context.Context) error {
	tick := time.NewTicker(k.bus.probe)
	defer tick.Stop()
	for {
		probe := false
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			probe = true
		case <-k.bus.changed:
		}
		if err := k.round(ctx, probe); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// round subscribes to what is wanted and not yet subscribed to; if it also
// drops what is wanted no longer. It ends with a ping: the answer to it comes
// after those to the subscriptions, and says that they stand.
func (k *keeper) round(ctx context.Context, drop bool) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+writeTimeout)
	defer cancel()
	var more, less []string
	for i := range k.bus.wanted {
		wanted := k.bus.wanted[i].Load() > 0
		switch {
		case wanted && !k.subscribed[i]:
			more = append(more, k.bus.channels[i])
			k.subscribed[i] = true
		case !wanted && k.subscribed[i] && drop:
			less = append(less, k.bus.channels[i])
			k.subscribed[i] = false
		}
	}
	if len(more) > 0 {
		if err := k.sub.Subscribe(ctx, more...); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
	}
	if len(less) > 0 {
		if err := k.sub.Unsubscribe(ctx, less...); err != nil {
			return fmt.Errorf("unsubscribing: %w", err)
		}
	}
	if err := k.sub.Ping(ctx); err != nil {
		return fmt.Errorf("probing: %w", err)
	}
	return nil
}

// receiver hands over what one link brings.
type receiver struct {
	bus     *Bus
	to      live.Listener
	stood   bool
	missed  bool // subscriptions were made; what was published before has passed by
	strange bool // a message was not understood
}

// receive returns the reason for which the link is over. One that brings not
// even the answer to a probe for half as long again as one takes is over too.
func (r *receiver) receive(ctx context.Context, sub *redis.PubSub) error {
	for {
		got, err := sub.ReceiveTimeout(ctx, r.bus.probe+r.bus.probe/2)
		if err != nil {
			return fmt.Errorf("receiving: %w", err)
		}
		switch got := got.(type) {
		case *redis.Message:
			r.message(ctx, got)
		case *redis.Subscription:
			r.missed = r.missed || got.Kind == "subscribe"
		case *redis.Pong:
			r.answered(ctx)
		default:
			return errors.New("receiving: an unknown kind of answer")
		}
	}
}

// answered takes the answer to a probe: the link stands, and so do the
// subscriptions that were made before it, all of them when the link is new.
func (r *receiver) answered(ctx context.Context) {
	if !r.stood {
		r.stood = true
		r.bus.up.Store(true)
		r.bus.log.InfoContext(ctx, "linked to Redis")
	}
	if r.missed {
		r.missed = false
		r.to.Resync()
	}
}

// message delivers what a message holds. One that is not understood is lost, as
// any may be; that is worth one line a link.
func (r *receiver) message(ctx context.Context, m *redis.Message) {
	err := decode(m.Payload, r.bus.self, r.to.Watches, r.to.Deliver)
	if err != nil && !r.strange {
		r.strange = true
		r.bus.log.WarnContext(ctx, "a message from Redis was not understood; more of them will not be logged", "channel", m.Channel, "error", err)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
