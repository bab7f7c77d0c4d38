package inbox_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"carillon/inbox"
	"carillon/live"
	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// TestRandomHistories plays random histories against the real thing and
// against the rules, and compares everything anybody could see after every
// step. INBOX_TEST_STEPS makes them longer, INBOX_TEST_SEED repeats one.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	seeds := []uint64{3, rand.Uint64()}
	if s := os.Getenv("INBOX_TEST_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	steps := 350
	if underRace {
		steps = 80
	}
	if s := os.Getenv("INBOX_TEST_STEPS"); s != "" {
		var err error
		if steps, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			storetest.EachURL(t, func(t *testing.T, url string) {
				clock := newClock()
				s := storetest.Open(t, store.Config{URL: url, Now: clock.now, MaxConns: 4})
				h := newHistory(t, s, seed)
				h.clock = clock
				for step := range steps {
					what := h.step()
					if h.check(); t.Failed() {
						t.Fatalf("after step %d (%s) of INBOX_TEST_SEED=%d", step, what, seed)
					}
				}
				report, err := s.VerifyCounters(t.Context(), 10)
				if err != nil || report.Drifted != 0 || report.Inboxes != int64(len(h.users)) {
					t.Errorf("VerifyCounters = %+v, %v; want %d inboxes without drift", report, err, len(h.users))
				}
			})
		})
	}
}

// clock is a clock that moves when it is told to.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.micros.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro())
	return c
}

func (c *clock) now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// history is a random history and everything that is compared.
type history struct {
	t       *testing.T
	rand    *rand.Rand
	clock   *clock
	store   *store.Store
	service *inbox.Service
	bus     *badBus
	env     model.EnvID
	users   []*userHistory
	keys    int
}

// userHistory is one user: the rules' inbox, and the clients that follow the
// real one.
type userHistory struct {
	id      model.UserID
	ideal   *ideal
	all     *client // follows from the first change on
	allFrom *inbox.Stream
	page    *client // began with a snapshot, shows one category
	pageOf  *inbox.Stream
	old     []*client // states that all has been in, to come back to
	touched bool
}

const pageCategory = 2

func newHistory(t *testing.T, s *store.Store, seed uint64) *history {
	h := &history{
		t: t, rand: rand.New(rand.NewPCG(seed, 0)), store: s, env: storetest.Env(t, s, "shop"),
	}
	h.bus = &badBus{Hub: live.NewHub(live.Config{}), rand: h.rand}
	h.service = &inbox.Service{Store: s, Live: h.bus, Now: func() time.Time { return h.clock.now() }}
	for i := range 3 {
		u := &userHistory{id: storetest.User(t, s, h.env, fmt.Sprintf("user%d", i)), ideal: new(ideal), all: beginning()}
		start := h.service.Position(u.id, 0)
		u.allFrom = follow(t, h.service, h.env, u.id, inbox.WatchOptions{After: &start}, func() {})
		h.openPage(u)
		u.old = append(u.old, u.all.clone())
		h.users = append(h.users, u)
	}
	return h
}

// badBus loses, doubles and repeats hints.
type badBus struct {
	*live.Hub
	rand *rand.Rand
	last []model.Hint
}

// step does one random thing, to the real inbox and to the ideal one, and
// compares what it answered. It returns what it did.
func (h *history) step() string {
	h.clock.advance(time.Duration(h.rand.IntN(3_000_000)) * time.Microsecond)
	u := h.users[h.rand.IntN(len(h.users))]
	u.touched = true
	switch n := h.rand.IntN(100); {
	case n < 30:
		return h.send()
	case n < 55:
		return h.mark(u)
	case n < 85:
		return h.markAll(u)
	case n < 91:
		return h.remove(u)
	case n < 96:
		return h.expire()
	default:
		return h.clean()
	}
}

func (h *history) send() string {
	what := storetest.Sent{At: h.clock.now(), Title: fmt.Sprint(h.rand.IntN(1000)), Category: model.CategoryID(h.rand.IntN(3)), Outside: h.rand.IntN(10) == 0}
	switch h.rand.IntN(5) {
	case 0:
		what.At = what.At.Add(-time.Minute)
	case 1:
		what.At = what.At.Truncate(time.Minute)
	}
	if h.rand.IntN(4) == 0 {
		what.ExpiresAt = h.clock.now().Add(time.Duration(h.rand.IntN(120)) * time.Second)
	}
	var users []*userHistory
	var ids []model.UserID
	for _, u := range h.users {
		if h.rand.IntN(2) == 0 {
			users, ids = append(users, u), append(ids, u.id)
		}
	}
	if len(users) == 0 {
		return "send to nobody"
	}
	list, changes := storetest.Send(h.t, h.store, h.env, what, ids...)
	if !what.Outside {
		for i, u := range users {
			u.touched = true
			u.ideal.seq++
			u.ideal.add(list[i])
		}
	}
	for _, c := range changes {
		h.bus.Publish(h.t.Context(), c.Hint())
	}
	return fmt.Sprintf("send %+v to %v", what, ids)
}

var states = []model.MarkState{
	model.MarkSeen, model.MarkUnseen, model.MarkRead, model.MarkUnread, model.MarkInteracted, model.MarkArchived, model.MarkUnarchived,
	model.MarkReadOnly, model.MarkUnseenOnly,
}

func (h *history) mark(u *userHistory) string {
	as, ids := states[h.rand.IntN(len(states))], h.someIDs(u)
	before := u.ideal.seq
	var items []*item
	var missing []model.NotificationID
	asked := slices.Clone(ids)
	slices.Sort(asked)
	for _, id := range slices.Compact(asked) {
		if i := u.ideal.find(id); i != nil {
			items = append(items, i)
		} else {
			missing = append(missing, id)
		}
	}
	affected := u.ideal.markSome(items, as, h.clock.now())
	what := fmt.Sprintf("mark %v of %d as %s, %d affected", ids, u.id, as, affected)

	once := h.once()
	out, err := h.service.Mark(h.t.Context(), h.env, once, u.id, ids, as)
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
	h.compareResult(u, out.Value, affected)
	slices.Sort(out.Value.NotFound)
	if !slices.Equal(out.Value.NotFound, missing) {
		h.t.Errorf("%s: not found %v, want %v", what, out.Value.NotFound, missing)
	}
	for _, n := range out.Value.Notifications {
		h.compareItem("mark", n, u.ideal.find(n.ID).view())
	}
	if len(out.Value.Notifications) != len(items) {
		h.t.Errorf("%s: got %d notifications, want %d", what, len(out.Value.Notifications), len(items))
	}
	if again, err := h.service.Mark(h.t.Context(), h.env, once, u.id, ids, as); err != nil || again.Replayed != once.Set() {
		h.t.Errorf("%s again: replayed %t, %v", what, again.Replayed, err)
	} else if once.Set() && !reflect.DeepEqual(sorted(again.Value), sorted(out.Value)) {
		h.t.Errorf("%s replayed as %+v, want %+v", what, again.Value, out.Value)
	}
	if u.ideal.seq > before+1 {
		h.t.Errorf("%s took more than one seq", what)
	}
	return what
}

func sorted(r model.MarkResult) model.MarkResult {
	slices.Sort(r.NotFound)
	return r
}

// once is an idempotency key, or none.
func (h *history) once() model.Once {
	if h.rand.IntN(3) > 0 {
		return model.Once{}
	}
	h.keys++
	return model.Once{Operation: "test", Key: fmt.Sprint(h.keys)}
}

// someIDs are ids of items that are there, were there, are somebody else's, or
// nobody's, some of them twice.
func (h *history) someIDs(u *userHistory) []model.NotificationID {
	var ids []model.NotificationID
	for range 1 + h.rand.IntN(6) {
		from := u
		if h.rand.IntN(8) == 0 {
			from = h.users[h.rand.IntN(len(h.users))]
		}
		if n := len(from.ideal.items); n > 0 {
			recent := min(n, 20)
			ids = append(ids, from.ideal.items[n-1-h.rand.IntN(recent)].n.ID)
		} else {
			ids = append(ids, model.NotificationID(h.rand.IntN(100)))
		}
	}
	return ids
}

func (h *history) markAll(u *userHistory) string {
	as := states[h.rand.IntN(len(states))]
	if h.rand.IntN(3) == 0 {
		as = []model.MarkState{model.MarkSeen, model.MarkRead}[h.rand.IntN(2)]
	}
	var upTo *model.Position
	bound := u.ideal.seq
	if h.rand.IntN(2) == 0 {
		bound -= h.rand.Int64N(min(bound, 10) + 1)
		p := h.service.Position(u.id, bound)
		upTo = &p
	}
	var f *model.InboxFilter
	if h.rand.IntN(2) == 0 {
		some := h.someFilter()
		f = &some
	}
	affected := u.ideal.markAll(as, bound, f, h.clock.now())
	what := fmt.Sprintf("mark all of %d as %s up to %d with %s, %d affected", u.id, as, bound, show(f), affected)
	out, err := h.service.MarkAll(h.t.Context(), h.env, h.once(), u.id, as, upTo, f)
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
	h.compareResult(u, out.Value, affected)
	return what
}

func (h *history) someFilter() model.InboxFilter {
	flag := func() *bool {
		if h.rand.IntN(2) == 0 {
			return nil
		}
		b := h.rand.IntN(2) == 0
		return &b
	}
	f := model.InboxFilter{Unseen: flag(), Unread: flag(), Archived: flag()}
	if h.rand.IntN(3) == 0 {
		f.Categories = [][]model.CategoryID{{}, {1}, {0, 2}}[h.rand.IntN(3)]
	}
	return f
}

func (h *history) remove(u *userHistory) string {
	ids := h.someIDs(u)
	var items []*item
	var found []model.NotificationID
	for _, id := range ids {
		if i := u.ideal.find(id); i != nil && !slices.Contains(items, i) {
			items, found = append(items, i), append(found, id)
		}
	}
	u.ideal.remove(items)
	what := fmt.Sprintf("delete %v of %d", ids, u.id)
	out, err := h.service.Delete(h.t.Context(), h.env, h.once(), u.id, ids)
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
	h.compareResult(u, out.Value, int64(len(items)))
	if !slices.Equal(out.Value.Deleted, found) {
		h.t.Errorf("%s: deleted %v, want %v", what, out.Value.Deleted, found)
	}
	return what
}

func (h *history) expire() string {
	h.clock.advance(time.Duration(h.rand.IntN(30)) * time.Second)
	total := 0
	for _, u := range h.users {
		due := u.ideal.live(func(i *item) bool { return !i.n.ExpiresAt.IsZero() && !i.n.ExpiresAt.After(h.clock.now()) })
		u.ideal.remove(due)
		u.touched = u.touched || len(due) > 0
		total += len(due)
	}
	if n, err := h.service.ExpireDue(h.t.Context()); err != nil || n != total {
		h.t.Errorf("ExpireDue = %d, %v; want %d", n, err, total)
	}
	return fmt.Sprintf("expire %d", total)
}
