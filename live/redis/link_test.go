package redis_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"carillon/live"
	"carillon/live/livetest"
	"carillon/live/redis"
	"carillon/model"
)

var ada = model.InboxKey(1, 2)

// run makes a hub on a bus and runs it until the test ends. It heals only when
// the bus asks for it.
func run(t *testing.T, c redis.Config) (*live.Hub, *livetest.Database) {
	t.Helper()
	db := new(livetest.Database)
	hub := live.NewHub(live.Config{Bus: open(t, c), Heads: db, Heal: time.Hour, Log: quiet})
	t.Cleanup(background(hub.Run))
	return hub, db
}

// background runs f until the returned function is called, which waits for it.
func background(f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// client is a client of the server for the test's own questions.
func client(t *testing.T, r *livetest.Redis) *goredis.Client {
	t.Helper()
	c := goredis.NewClient(&goredis.Options{Addr: r.Addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// reach publishes until the recorder hears of the key, and forgets it.
func reach(t *testing.T, from *live.Hub, key model.LiveKey, r *livetest.Recorder) {
	t.Helper()
	livetest.Eventually(t, "the first hint", func() bool {
		from.Publish(t.Context(), model.Hint{Key: key, Seq: -1})
		return r.Has(-1)
	})
	r.Reset()
}

func TestRedisThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t)
	server.Kill()
	c := redis.Config{URL: server.URL(), Namespace: "n"}
	from, _ := run(t, c)
	to, db := run(t, c)
	r := new(livetest.Recorder)
	defer to.Watch(ada, r)()
	db.Set(ada, 3)
	from.Publish(t.Context(), model.Hint{Key: ada, Seq: 3})
	if from.Healthy() || to.Healthy() {
		t.Error("a hub is healthy without Redis")
	}
	server.Start(t)
	livetest.Eventually(t, "the missed hint", func() bool { return r.Has(3) })
	reach(t, from, ada, r)
}

// What is committed while a subscription is being made is found, without
// waiting for the next comparison.
func TestNewSubscriptionIsComparedAtOnce(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t)
	hub, db := run(t, redis.Config{URL: server.URL(), Namespace: "n"})
	livetest.Eventually(t, "a link", hub.Healthy)
	db.Set(ada, 5)
	r := new(livetest.Recorder)
	defer hub.Watch(ada, r)()
	livetest.Eventually(t, "the comparison", func() bool { return r.Has(5) })
}

func TestChannelsFollowTheWatchers(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t)
	c := client(t, server)
	channels := func() int {
		names, err := c.PubSubChannels(t.Context(), "carillon:n:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	hub, _ := run(t, redis.Config{URL: server.URL(), Namespace: "n", Probe: 50 * time.Millisecond})
	livetest.Eventually(t, "a link", hub.Healthy)
	if n := channels(); n != 0 {
		t.Errorf("subscribed to %d channels with nothing watched", n)
	}
	one := hub.Watch(ada, new(livetest.Recorder))
	livetest.Eventually(t, "one channel", func() bool { return channels() == 1 })
	var cancels []func()
	for u := range model.UserID(2000) {
		cancels = append(cancels, hub.Watch(model.InboxKey(1, u), new(livetest.Recorder)))
	}
	livetest.Eventually(t, "all channels", func() bool { return channels() == 64 })
	for _, cancel := range cancels {
		cancel()
	}
	livetest.Eventually(t, "one channel again", func() bool { return channels() == 1 })
	one()
	livetest.Eventually(t, "no channel", func() bool { return channels() == 0 })
	if !hub.Healthy() {
		t.Error("without a subscription the link is not healthy")
	}
}

func TestNamespacesNeverMix(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t)
	from, _ := run(t, redis.Config{URL: server.URL(), Namespace: "one"})
	same, _ := run(t, redis.Config{URL: server.URL(), Namespace: "one"})
	other, _ := run(t, redis.Config{URL: server.URL(), Namespace: "two"})
	otherFrom, _ := run(t, redis.Config{URL: server.URL(), Namespace: "two"})
	here, there := new(livetest.Recorder), new(livetest.Recorder)
	defer same.Watch(ada, here)()
	defer other.Watch(ada, there)()
	reach(t, from, ada, here)
	reach(t, otherFrom, ada, there)
	from.Publish(t.Context(), model.Hint{Key: ada, Seq: 1})
	livetest.Eventually(t, "the hint", func() bool { return here.Has(1) })
	otherFrom.Publish(t.Context(), model.Hint{Key: ada, Seq: 2})
	livetest.Eventually(t, "the other's hint", func() bool { return there.Has(2) })
	if here.Has(2) || there.Has(1) {
		t.Errorf("the namespaces heard %v and %v", here.Seqs(), there.Seqs())
	}
}

func TestLargeChangeGoesWithoutContent(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t)
	c := redis.Config{URL: server.URL(), Namespace: "n"}
	from, _ := run(t, c)
	to, _ := run(t, c)
	r := new(livetest.Recorder)
	defer to.Watch(ada, r)()
	reach(t, from, ada, r)
	from.Publish(t.Context(), livetest.Change(1, 2, 1, &model.Content{Body: strings.Repeat("b", model.MaxHint)}).Hint())
	livetest.Eventually(t, "the hint", func() bool { return r.Has(1) })
	for _, got := range r.Hints() {
		if got.Seq == 1 && got != (model.Hint{Key: ada, Seq: 1}) {
			t.Errorf("got %+v, want the position alone", got)
		}
	}
}

func TestStrangeMessageDoesNotEndTheLink(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t)
	c := redis.Config{URL: server.URL(), Namespace: "n"}
	from, _ := run(t, c)
	to, _ := run(t, c)
	r := new(livetest.Recorder)
	defer to.Watch(ada, r)()
	reach(t, from, ada, r)
	names, err := client(t, server).PubSubChannels(t.Context(), "carillon:n:*").Result()
	if err != nil || len(names) != 1 {
		t.Fatalf("subscribed to %v, error %v", names, err)
	}
	for _, strange := range []string{"", "\x01", "\x02future", "\x01AAAAAAAA\xff\xff", strings.Repeat("x", 1<<20)} {
		if err := client(t, server).Publish(t.Context(), names[0], strange).Err(); err != nil {
			t.Fatal(err)
		}
	}
	from.Publish(t.Context(), model.Hint{Key: ada, Seq: 1})
	livetest.Eventually(t, "the hint after them", func() bool { return r.Has(1) })
	if !to.Healthy() {
		t.Error("the link is down")
	}
}

// A user of Redis with these rights is all that a bus needs.
func TestNeedsNoCommandsButThese(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t,
		"user default off",
		"user admin on >secret ~* &* +@all",
		"user carillon on >secret resetchannels &carillon:n:* -@all +publish +subscribe +unsubscribe +ping")
	c := redis.Config{URL: "redis://carillon:secret@" + server.Addr, Namespace: "n", Probe: 50 * time.Millisecond}
	from, _ := run(t, c)
	to, _ := run(t, c)
	r := new(livetest.Recorder)
	cancel := to.Watch(ada, r)
	reach(t, from, ada, r)
	cancel()
	defer to.Watch(model.InboxKey(1, 3), r)()
	reach(t, from, model.InboxKey(1, 3), r)
	livetest.Eventually(t, "a healthy bus", from.Healthy) // a slow machine may miss a probe
	if s := from.Stats(); s.Dropped > 0 {
		t.Errorf("numbers are %+v, want nothing dropped", s)
	}
	admin := goredis.NewClient(&goredis.Options{Addr: server.Addr, Username: "admin", Password: "secret"})
	defer admin.Close()
	if denied, err := admin.ACLLog(t.Context(), 10).Result(); err != nil || len(denied) > 0 {
		t.Errorf("Redis denied %+v, error %v; want that nothing else was tried", denied, err)
	}
}

func TestHubEndsWhileRedisHangs(t *testing.T) {
	t.Parallel()
	server := livetest.StartRedis(t)
	hub := live.NewHub(live.Config{Bus: open(t, redis.Config{URL: server.URL(), Namespace: "n"}), Log: quiet})
	stop := background(hub.Run)
	livetest.Eventually(t, "a link", hub.Healthy)
	server.Pause(t)
	hub.Publish(t.Context(), model.Hint{Key: ada, Seq: 1})
	began := time.Now()
	stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("ending took %s", took)
	}
}

// Something that takes connections and drops them must not be hammered.
func TestBrokenLinkIsTriedWithPauses(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var dials atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			dials.Add(1)
			_ = c.Close()
		}
	}()
	began := time.Now()
	run(t, redis.Config{URL: "redis://" + l.Addr().String(), Namespace: "n"})
	livetest.Eventually(t, "a second and a half", func() bool { return time.Since(began) > 1500*time.Millisecond })
	// Pauses of 0.1, 0.2, 0.4, 0.8 s, up to half shorter, and two connections a try.
	if n := dials.Load(); n < 2 || n > 20 {
		t.Errorf("in %s there were %d connections, want a few", time.Since(began), n)
	}
}

func TestWrongURLIsRefusedWithoutRepeatingIt(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "http://:hunter2@x", "redis://:hunter2@x:y", "redis://:hunter2@host/notanumber", "redis://%zz:hunter2@x"} {
		_, err := redis.New(redis.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("New with the URL %q says %v, want an error without the password", url, err)
		}
	}
}
