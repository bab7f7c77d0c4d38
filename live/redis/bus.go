package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"carillon/model"
)

// Config says which Redis carries the hints, and for whom.
type Config struct {
	// URL is redis://, rediss:// or unix://, with credentials if need be. A
	// password never appears in errors or logs.
	URL string
	// Namespace keeps servers apart that share a Redis but no database. All
	// processes of one database have the same; its epoch is a good one.
	Namespace string
	// Probe is how often the link is tried while nothing comes in; one that
	// gives no sign for half as long again is broken. Zero: 10 s.
	Probe time.Duration
	// TLS is used instead of what rediss:// means by itself; nil: that.
	TLS *tls.Config
	Log *slog.Logger // nil: slog.Default()
}

const (
	defaultProbe = 10 * time.Second
	dialTimeout  = 2 * time.Second
	writeTimeout = 2 * time.Second
)

// Bus is live.Bus over Redis pub/sub. It has one connection that subscribes,
// and one or two that publish.
type Bus struct {
	client   *redis.Client
	self     uint64         // who sends; random
	channels [shards]string // their names
	probe    time.Duration
	log      *slog.Logger

	wanted  [shards]atomic.Int64 // keys that are watched here
	changed chan struct{}        // wakes the keeper of the subscriptions
	up      atomic.Bool          // the link stands
}

// New makes a bus. It does not connect: a Redis that cannot be reached is not
// an error, now or later. An error means that the URL is wrong.
func New(c Config) (*Bus, error) {
	opt, err := redis.ParseURL(c.URL)
	if err != nil {
		// The parser's errors can hold the URL, and the URL a password.
		return nil, errors.New("the URL of Redis is not valid: it has the form redis://user:password@host:port/database")
	}
	b := &Bus{probe: c.Probe, log: c.Log, changed: make(chan struct{}, 1), self: rand.Uint64()}
	if b.probe == 0 {
		b.probe = defaultProbe
	}
	if b.log == nil {
		b.log = slog.Default()
	}
	for i := range b.channels {
		b.channels[i] = "carillon:" + c.Namespace + ":" + strconv.Itoa(i)
	}
	if c.TLS != nil {
		opt.TLSConfig = c.TLS
	}
	quieten.Do(func() { redis.SetLogger(silence{}) })
	b.client = redis.NewClient(tune(opt))
	return b, nil
}

// tune makes the client do what is asked of it and nothing by itself: no second
// try, no wait beyond the caller's, no command that announces it.
func tune(opt *redis.Options) *redis.Options {
	opt.Protocol = 2
	opt.DisableIdentity = true
	opt.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opt.ContextTimeoutEnabled = true
	opt.MaxRetries = -1
	opt.DialerRetries = 1
	opt.DialTimeout = dialTimeout
	opt.WriteTimeout = writeTimeout
	opt.PoolSize = 2 // one goroutine publishes
	opt.PipelinePoolSize = -1
	return opt
}

// Close ends the connections. Listen must have returned.
func (b *Bus) Close() error { return b.client.Close() }

// Publish sends the hints, one message for each shard that they touch, in one
// round trip.
func (b *Bus) Publish(ctx context.Context, hints []model.Hint) error {
	pipe := b.client.Pipeline()
	for shard, message := range encode(b.self, hints) {
		pipe.Publish(ctx, b.channels[shard], message)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("publishing to Redis: %w", err)
	}
	return nil
}

// Watch makes sure that the key's channel is subscribed to, soon.
func (b *Bus) Watch(key model.LiveKey) {
	if b.wanted[shard(key)].Add(1) == 1 {
		b.wake()
	}
}

// Unwatch lets go of the key's channel when it was the last. The subscription
// ends with the next probe, since a stream that closes often opens again.
func (b *Bus) Unwatch(key model.LiveKey) { b.wanted[shard(key)].Add(-1) }

// Healthy reports whether Redis answered the last probe. A link that breaks
// without a sign is noticed within one and a half probes.
func (b *Bus) Healthy() bool { return b.up.Load() }

func (b *Bus) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// quieten stops go-redis, which logs to the process's standard error whatever
// the logger here is told once.
var quieten sync.Once

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}
