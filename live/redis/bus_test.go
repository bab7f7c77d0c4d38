package redis_test

import (
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"carillon/live"
	"carillon/live/livetest"
	"carillon/live/redis"
)

var quiet = slog.New(slog.DiscardHandler)

// open makes a bus and closes it with the test, after the hub that uses it.
func open(t *testing.T, c redis.Config) *redis.Bus {
	t.Helper()
	c.Log = quiet
	b, err := redis.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestContract(t *testing.T) {
	t.Parallel()
	url := livetest.RedisURL(t)
	livetest.Contract(t, func(*testing.T) livetest.Medium {
		c := redis.Config{URL: url, Namespace: "test-" + rand.Text()}
		return livetest.Medium{Bus: func(t *testing.T) live.Bus { return open(t, c) }}
	})
}

// The link is lost in two ways: Redis dies, or the network swallows everything
// and no connection is closed.
func TestLinkContract(t *testing.T) {
	t.Parallel()
	for _, loss := range []struct {
		name string
		cut  func(t *testing.T, r *livetest.Redis)
		mend func(t *testing.T, r *livetest.Redis)
	}{
		{"RedisDies", func(_ *testing.T, r *livetest.Redis) { r.Kill() }, func(t *testing.T, r *livetest.Redis) { r.Start(t) }},
		{"RedisHangs", func(t *testing.T, r *livetest.Redis) { r.Pause(t) }, func(t *testing.T, r *livetest.Redis) { r.Resume(t) }},
	} {
		t.Run(loss.name, func(t *testing.T) {
			t.Parallel()
			livetest.LinkContract(t, func(t *testing.T) livetest.Medium {
				server := livetest.StartRedis(t)
				c := redis.Config{URL: server.URL(), Namespace: "own", Probe: 300 * time.Millisecond}
				return livetest.Medium{
					Bus:  func(t *testing.T) live.Bus { return open(t, c) },
					Cut:  func(t *testing.T) { loss.cut(t, server) },
					Mend: func(t *testing.T) { loss.mend(t, server) },
				}
			})
		})
	}
}
