package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"carillon/internal/lab"
)

// churn changes inboxes in every way there is, through the API, and keeps them
// so small that a client can hold all of one. Every request must succeed.
type churn struct {
	clients []*lab.Client // of the servers, in turn
	users   []string
	writers int
	changes int // how many to make at least
	seed    uint64

	done  atomic.Int64
	sends timings

	mu        sync.Mutex
	positions map[string][]string // of each user, as queries gave them
	kinds     map[string]int
}

// inboxFull is how many items, archived ones included, an inbox has before some
// are deleted. A snapshot holds 100.
const inboxFull = 75

// run makes changes until there were enough and enough() says so too.
func (c *churn) run(ctx context.Context, enough func() bool) error {
	c.positions, c.kinds = map[string][]string{}, map[string]int{}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, c.writers)
	var wg sync.WaitGroup
	for i := range c.writers {
		wg.Go(func() {
			if errs[i] = c.writer(ctx, i, enough); errs[i] != nil {
				stop()
			}
		})
	}
	wg.Wait()
	for _, err := range errs { // the first that is not a consequence
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return errors.Join(errs...)
}

func (c *churn) writer(ctx context.Context, number int, enough func() bool) error {
	w := &writer{churn: c, random: rand.New(rand.NewPCG(c.seed, uint64(number)+1)), name: fmt.Sprintf("w%d", number)}
	for int(c.done.Load()) < c.changes || !enough() {
		kind, err := w.change(ctx)
		if err != nil {
			return fmt.Errorf("%s failed: %w", kind, err)
		}
		c.done.Add(1)
		c.mu.Lock()
		c.kinds[kind]++
		c.mu.Unlock()
	}
	return nil
}

// String lists how many changes of each kind there were.
func (c *churn) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []string
	for kind, n := range c.kinds {
		list = append(list, fmt.Sprintf("%d %s", n, kind))
	}
	slices.Sort(list)
	return fmt.Sprintf("%d changes (%s), sends %s", c.done.Load(), strings.Join(list, ", "), c.sends.String())
}

// writer is one goroutine of a churn.
type writer struct {
	*churn
	random *rand.Rand
	name   string
	n      int
}

func (w *writer) client() *lab.Client { return w.clients[w.random.IntN(len(w.clients))] }

// change makes one change and says of which kind.
func (w *writer) change(ctx context.Context) (kind string, err error) {
	user := w.users[w.random.IntN(len(w.users))]
	have, err := w.client().Inbox(ctx, user, true)
	if err != nil {
		return "reading", err
	}
	w.note(user, have.Position)
	if len(have.Items) > inboxFull {
		return "deletion", w.remove(ctx, user, w.some(have, 20))
	}
	switch n := w.random.IntN(100); {
	case n < 50 || len(have.Items) < 5:
		return w.send(ctx)
	case n < 75:
		return "mark", w.mark(ctx, user, w.some(have, 4))
	case n < 92:
		return "mark-all", w.markAll(ctx, user)
	default:
		return "deletion", w.remove(ctx, user, w.some(have, 3))
	}
}

// note keeps some positions of the past, for mark-alls up to them.
func (c *churn) note(user, position string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := append(c.positions[user], position)
	c.positions[user] = list[max(0, len(list)-20):]
}

// some picks up to n items, each once.
func (w *writer) some(have lab.Inbox, n int) []string {
	var ids []string
	for _, i := range w.random.Perm(len(have.Items))[:min(len(have.Items), 1+w.random.IntN(n))] {
		ids = append(ids, have.Items[i].ID)
	}
	return ids
}

const sendChange = `mutation ($input: SendNotificationInput!) { sendNotification(input: $input) { send { id } userErrors { code message } } }`

// send notifies one to three users: now or in a moment, for good or for a while,
// sometimes with more than the bus carries.
func (w *writer) send(ctx context.Context) (kind string, err error) {
	w.n++
	kind = "send"
	to := []string{}
	for _, i := range w.random.Perm(len(w.users))[:1+w.random.IntN(min(3, len(w.users)))] {
		to = append(to, w.users[i])
	}
	input := map[string]any{"to": map[string]any{"users": to}, "title": fmt.Sprintf("%s-%d", w.name, w.n)}
	switch now := time.Now(); w.random.IntN(10) {
	case 0, 1:
		kind = "send that expires"
		input["expiresAt"] = now.Add(between(w.random, [2]time.Duration{time.Second, 3 * time.Second})).UTC().Truncate(time.Microsecond)
	case 2:
		kind = "scheduled send"
		input["sendAt"] = now.Add(between(w.random, [2]time.Duration{0, time.Second})).UTC().Truncate(time.Microsecond)
	case 3:
		kind = "large send"
		input["body"] = strings.Repeat("a long story ", 1000)
	}
	began := time.Now()
	err = w.mutate(ctx, sendChange, "sendNotification", map[string]any{"input": input})
	w.sends.add(time.Since(began))
	return kind, err
}

const markChange = `mutation ($input: MarkNotificationsInput!) { markNotifications(input: $input) { position userErrors { code message } } }`

func (w *writer) mark(ctx context.Context, user string, ids []string) error {
	states := []string{"SEEN", "UNSEEN", "READ", "UNREAD", "INTERACTED", "ARCHIVED", "UNARCHIVED"}
	input := map[string]any{"user": user, "ids": ids, "as": states[w.random.IntN(len(states))]}
	return w.mutate(ctx, markChange, "markNotifications", map[string]any{"input": input})
}

const markAllChange = `mutation ($input: MarkAllNotificationsInput!) { markAllNotifications(input: $input) { position userErrors { code message } } }`

// markAll marks what was there at some position of the past, or is there now;
// everything, or what is unread.
func (w *writer) markAll(ctx context.Context, user string) error {
	states := []string{"SEEN", "READ", "READ", "READ", "UNREAD", "UNSEEN", "ARCHIVED", "UNARCHIVED", "INTERACTED"}
	input := map[string]any{"user": user, "as": states[w.random.IntN(len(states))]}
	if w.random.IntN(2) == 0 {
		w.mu.Lock()
		list := w.positions[user]
		input["upTo"] = list[w.random.IntN(len(list))]
		w.mu.Unlock()
	}
	if w.random.IntN(4) == 0 {
		input["filter"] = map[string]any{"unread": w.random.IntN(2) == 0}
	}
	return w.mutate(ctx, markAllChange, "markAllNotifications", map[string]any{"input": input})
}

const deleteChange = `mutation ($input: DeleteNotificationsInput!) { deleteNotifications(input: $input) { position userErrors { code message } } }`

func (w *writer) remove(ctx context.Context, user string, ids []string) error {
	return w.mutate(ctx, deleteChange, "deleteNotifications", map[string]any{"input": map[string]any{"user": user, "ids": ids}})
}

// mutate runs a mutation with one root field, which must have no user errors.
func (w *writer) mutate(ctx context.Context, query, field string, variables map[string]any) error {
	var out map[string]struct {
		UserErrors []struct{ Code, Message string }
	}
	if err := w.client().Do(ctx, query, variables, &out); err != nil {
		return err
	}
	if errs := out[field].UserErrors; len(errs) > 0 {
		return fmt.Errorf("%s: %s", errs[0].Code, errs[0].Message)
	}
	return nil
}
