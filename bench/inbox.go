package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

const (
	askers    = 32
	page      = 20
	inboxText = `{ viewer { user { inbox(first: 20) { nodes { id title body url createdAt readAt } counters { total unseen unread } } } } }`
	// Of the answers so many are read whole; the rest is looked at for what
	// only the right one has. To read all would cost more than to give them.
	wholeEvery = 64
)

// shownItem is an item as both sides show it.
type shownItem struct{ ID, Title, Body, URL, CreatedAt, ReadAt string }

type shownInbox struct {
	Nodes    []shownItem
	Counters struct{ Total, Unseen, Unread int }
}

// asking are the requests of everyone for their inbox, and how to read an
// answer.
type asking struct {
	requests [][]byte
	read     func(body []byte) (shownInbox, error)
}

func askOurs(c *crowd) asking {
	body, _ := json.Marshal(map[string]string{"query": inboxText}) // of text
	a := asking{requests: make([][]byte, people), read: func(body []byte) (shownInbox, error) {
		var out struct {
			Data struct {
				Viewer struct{ User struct{ Inbox shownInbox } }
			}
		}
		err := json.Unmarshal(body, &out)
		return out.Data.Viewer.User.Inbox, err
	}}
	for i, token := range c.tokens() {
		a.requests[i] = request("/graphql", token, body)
	}
	return a
}

func askBare(c *crowd) asking {
	a := asking{requests: make([][]byte, people), read: func(body []byte) (shownInbox, error) {
		var out shownInbox
		err := json.Unmarshal(body, &out)
		return out, err
	}}
	for i := range people {
		a.requests[i] = request("/inbox", "", fmt.Appendf(nil, `{"env":%d,"user":%d}`, c.env, c.ids[i]))
	}
	return a
}

// query asks for random inboxes for a while, and checks what comes.
func (c *crowd) query(ctx context.Context, s *side, a asking, connections int, length time.Duration) (int, time.Duration, error) {
	title := []byte(`"title":`)
	return flood(ctx, s.addr, connections, length, func(_, n int) ([]byte, func([]byte) error) {
		user := rand.IntN(people)
		return a.requests[user], func(body []byte) error {
			if bytes.Count(body, title) != page || !bytes.Contains(body, []byte(c.newest(user, 0))) {
				return fmt.Errorf("the inbox of %s is %s", userName(user), body)
			}
			if n%wholeEvery > 0 {
				return nil
			}
			shown, err := a.read(body)
			if err != nil {
				return err
			}
			return c.right(user, shown)
		}
	})
}

// askAll asks for every inbox once, to warm up.
func (c *crowd) askAll(ctx context.Context, s *side, a asking) error {
	var wg sync.WaitGroup
	errs := make([]error, askers)
	for lane := range askers {
		wg.Go(func() {
			w, err := dialWire(ctx, s.addr)
			if err != nil {
				errs[lane] = err
				return
			}
			defer w.conn.Close()
			for user := lane; user < people && errs[lane] == nil; user += askers {
				if _, err := w.do(a.requests[user]); err != nil && !errors.Is(err, errBusy) {
					errs[lane] = err
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// right compares what was shown with what is there.
func (c *crowd) right(user int, shown shownInbox) error {
	if got := shown.Counters; got.Total != c.rows/people || got.Unread != c.rows/people/2 || got.Unseen != got.Unread {
		return fmt.Errorf("the counters of %s are %+v", userName(user), got)
	}
	for j, item := range shown.Nodes {
		if item.Title != c.newest(user, j) || item.ID == "" || item.Body == "" || item.URL == "" || item.CreatedAt == "" || (item.ReadAt != "") != (j >= c.rows/people/2) {
			return fmt.Errorf("item %d of %s is %+v", j, userName(user), item)
		}
	}
	return nil
}

// inboxQueries measures the inbox query over 32 connections, with what the
// server remembers of answers switched off and on.
func (p *place) inboxQueries(ctx context.Context) error {
	c, err := p.gather(ctx)
	if err != nil {
		return err
	}
	first, err := p.inboxesOf(ctx, c, p.rows)
	if err != nil || p.thenRows <= p.rows {
		return err
	}
	then, err := p.inboxesOf(ctx, c, p.thenRows)
	if err != nil {
		return err
	}
	p.add(result{
		work: fmt.Sprintf("W1 inbox query, %s rows : %s rows", count(p.thenRows), count(p.rows)),
		ours: fmt.Sprintf("%.0f/s", then.rate()), bare: fmt.Sprintf("%.0f/s", first.rate()),
		ratio: fmt.Sprintf("%.2f × the time", first.rate()/then.rate()), cpu: then.cpu() + " : " + first.cpu(),
	})
	return nil
}

// count writes a number as people say it.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (p *place) inboxesOf(ctx context.Context, c *crowd, rows int) (cold samples, err error) {
	if err := p.fill(ctx, c, rows); err != nil {
		return nil, err
	}
	var bare, warm, bareWarm samples
	oursAsk, bareAsk := askOurs(c), askBare(c)
	measure := func(name string, ours, theirs *samples, settings ...string) error {
		us, them, end, err := p.both(ctx, settings...)
		if err != nil {
			return err
		}
		defer end()
		for _, warmUp := range []struct {
			s *side
			a asking
		}{{us, oursAsk}, {them, bareAsk}} {
			if err := c.askAll(ctx, warmUp.s, warmUp.a); err != nil {
				return fmt.Errorf("%s: %w", warmUp.s.name, err)
			}
		}
		for range p.rounds {
			s, err := p.watch(ctx, us, name, func() (int, time.Duration, error) { return c.query(ctx, us, oursAsk, askers, p.length) })
			if err != nil {
				return err
			}
			*ours = append(*ours, s)
			if s, err = p.watch(ctx, them, name, func() (int, time.Duration, error) { return c.query(ctx, them, bareAsk, askers, p.length) }); err != nil {
				return err
			}
			*theirs = append(*theirs, s)
		}
		return nil
	}
	if err := measure("inbox", &cold, &bare, "ANSWER_CACHE=0"); err != nil {
		return nil, err
	}
	p.addRates(fmt.Sprintf("W1 inbox query, %s rows, 32 connections", count(rows)), cold, bare)
	if err := measure("inbox-warm", &warm, &bareWarm); err != nil {
		return nil, err
	}
	p.addRates("W1 the same, warm", warm, bareWarm)
	return cold, nil
}
