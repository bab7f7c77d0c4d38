package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"carillon/internal/lab"
)

// subscribersStory has subscribers who wait, over WebSockets and over
// server-sent events, and says what each takes of the server's memory. Then
// some who never read get all that the others get: it costs the others
// nothing, and they are dropped.
type subscribersStory struct {
	idle    int // of each kind
	silent  int // who never read
	readers int // who do, on inboxes that the silent ones watch, too
	sends   int // to all of them, with and without the silent ones
	every   time.Duration
}

// subscribersReport is what the story found.
type subscribersReport struct {
	idle, silent    int
	before          int64    // bytes resident, with nobody there
	sockets, events int64    // bytes resident that one subscriber takes
	without, with   *timings // from a send to its event, without the silent ones and with them
	dropped         int      // of the silent ones, by the end
}

func (r subscribersReport) String() string {
	return fmt.Sprintf("%d bytes resident with nobody there; %d waiting over WebSockets take %d bytes each, %d over server-sent events %d; from send to event %s, with %d that never read %s, of whom %d were dropped",
		r.before, r.idle, r.sockets, r.idle, r.events, r.without, r.silent, r.with, r.dropped)
}

// run tells the story on s. The error says which promise was broken.
func (c subscribersStory) run(ctx context.Context, s *lab.Setup) (report subscribersReport, err error) {
	report = subscribersReport{idle: c.idle, silent: c.silent, without: new(timings), with: new(timings)}
	w, err := newWorld(ctx, s, 1)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	if w.metrics, err = lab.FreeAddr(); err != nil {
		return report, err
	}
	w.settings = []string{"METRICS_ADDR=" + w.metrics}
	if _, err := w.start(ctx); err != nil {
		return report, err
	}
	if err := lab.NewPatientClient(w.servers[0].URL, w.env.SecretKey, time.Minute).Crowd(ctx, "all", c.idle); err != nil {
		return report, err
	}
	if err := c.wait(ctx, w, &report); err != nil {
		return report, fmt.Errorf("waiting: %w", err)
	}
	if err := c.read(ctx, w, &report); err != nil {
		return report, fmt.Errorf("reading: %w", err)
	}
	return report, w.verify(ctx)
}

// wait measures subscribers who wait.
func (c subscribersStory) wait(ctx context.Context, w *world, report *subscribersReport) (err error) {
	var crowd crowd
	defer crowd.leave()
	// The first hundred make what is there once, and is not counted.
	if err := crowd.come(ctx, w, min(100, c.idle), false); err != nil {
		return err
	}
	crowd.leave()
	if report.before, err = rests(ctx, w.servers[0].PID()); err != nil {
		return err
	}
	last := report.before
	for _, kind := range []struct {
		events bool
		each   *int64
	}{{false, &report.sockets}, {true, &report.events}} {
		if err := crowd.come(ctx, w, c.idle, kind.events); err != nil {
			return err
		}
		now, err := rests(ctx, w.servers[0].PID())
		if err != nil {
			return err
		}
		*kind.each, last = (now-last)/int64(c.idle), now
	}
	return nil
}

// crowd are subscribers who wait.
type crowd struct{ streams []lab.Stream }

// come has n users of the crowd subscribe, a few at a time, and waits until
// each has its first event.
func (c *crowd) come(ctx context.Context, w *world, n int, events bool) error {
	const lanes = 8
	var (
		wg      sync.WaitGroup
		streams = make([]lab.Stream, n)
		errs    [lanes]error
	)
	for lane := range lanes {
		wg.Go(func() {
			for i := lane; i < n && errs[lane] == nil; i += lanes {
				streams[i], errs[lane] = subscriber(ctx, w, i, events)
			}
		})
	}
	wg.Wait()
	for _, s := range streams {
		if s != nil {
			c.streams = append(c.streams, s)
			go func() { // answers pings; nothing else comes
				for {
					if _, err := s.Next(); err != nil {
						return
					}
				}
			}()
		}
	}
	return errors.Join(errs[:]...)
}

func (c *crowd) leave() {
	for _, s := range c.streams {
		s.Close()
	}
	c.streams = nil
}

// userClient is a client of user i of the crowd.
func userClient(w *world, i int) (*lab.Client, error) {
	token, err := w.env.UserToken(fmt.Sprintf("u%05d", i))
	return lab.NewClient(w.servers[0].URL, token), err
}

// subscriber opens the inbox of user i of the crowd and reads the first event.
func subscriber(ctx context.Context, w *world, i int, events bool) (stream lab.Stream, err error) {
	client, err := userClient(w, i)
	if err != nil {
		return nil, err
	}
	if events {
		stream, err = client.WatchEvents(ctx, "", false)
	} else {
		stream, err = client.WatchSocket(ctx, "")
	}
	if err != nil {
		return nil, err
	}
	_, err = stream.Next()
	return stream, err
}

// read measures how long events take to readers, without silent ones and then
// with them.
func (c subscribersStory) read(ctx context.Context, w *world, report *subscribersReport) error {
	readers := make([]lab.Stream, c.readers)
	for i := range readers {
		var err error
		if readers[i], err = subscriber(ctx, w, i, i%2 == 1); err != nil {
			return err
		}
		defer readers[i].Cut()
	}
	if err := c.tell(ctx, w, readers, "without", report.without); err != nil {
		return err
	}
	silent := make([]net.Conn, c.silent)
	for i := range silent {
		client, err := userClient(w, i%c.readers)
		if err != nil {
			return err
		}
		if silent[i], err = client.Silent(ctx, i%2 == 1); err != nil {
			return err
		}
		defer silent[i].Close()
	}
	if err := c.tell(ctx, w, readers, "with", report.with); err != nil {
		return err
	}
	err := lab.Poll(ctx, 30*time.Second, func() (err error) {
		report.dropped, err = w.metric(ctx, "carillon_slow_readers_total")
		if err == nil && report.dropped != c.silent {
			err = fmt.Errorf("%d of %d that never read were dropped", report.dropped, c.silent)
		}
		return err
	})
	// A loaded machine may be slow, but not because of them.
	if limit := max(2*time.Second, 10*report.without.at(0.99)); report.with.at(0.99) > limit {
		err = errors.Join(err, fmt.Errorf("events took %s with %d that never read, and %s without", report.with, c.silent, report.without))
	}
	return err
}

// metric reads one of the numbers of the first server.
func (w *world) metric(ctx context.Context, name string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.metrics+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			f, err := strconv.ParseFloat(value, 64)
			return int(f), err
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// bodyBytes is as much as a notification may say, so that a connection that is
// not read is soon full.
const bodyBytes = 60 << 10

const sendBody = `mutation ($to: [String!]!, $title: String!, $body: String!) {
	sendNotification(input: {to: {users: $to}, title: $title, body: $body}) { send { id } userErrors { message } }
}`

// tell sends to all readers again and again, and notes how long each event
// takes. Each reader must get each send, once and in order.
func (c subscribersStory) tell(ctx context.Context, w *world, readers []lab.Stream, phase string, took *timings) error {
	began := make([]time.Time, c.sends)
	var mu sync.Mutex // of began
	var wg sync.WaitGroup
	errs := make([]error, len(readers)+1)
	for i, reader := range readers {
		wg.Go(func() {
			for n := 0; n < c.sends && errs[i] == nil; {
				event, err := reader.Next()
				now := time.Now()
				for k := len(event.Added) - 1; k >= 0 && err == nil; k-- { // several are newest first
					if want := phase + strconv.Itoa(n); event.Added[k].Title != want || event.Reset != "" {
						err = fmt.Errorf("reader %d got %q, want %q; reset %q", i, event.Added[k].Title, want, event.Reset)
						break
					}
					mu.Lock()
					took.add(now.Sub(began[n]))
					mu.Unlock()
					n++
				}
				errs[i] = err
			}
		})
	}
	stop := context.AfterFunc(ctx, func() {
		for _, reader := range readers {
			reader.Cut()
		}
	})
	defer stop()
	to := make([]string, len(readers))
	for i := range to {
		to[i] = fmt.Sprintf("u%05d", i)
	}
	client, body := w.client(0), strings.Repeat("x", bodyBytes)
	for n := range began {
		mu.Lock()
		began[n] = time.Now()
		mu.Unlock()
		var out struct{ SendNotification sentTo }
		if err := client.Do(ctx, sendBody, map[string]any{"to": to, "title": phase + strconv.Itoa(n), "body": body}, &out); err != nil {
			errs[len(readers)] = err
			for _, reader := range readers {
				reader.Cut()
			}
			break
		}
		_ = pause(ctx, c.every) // then the next send fails
	}
	wg.Wait()
	return errors.Join(errs...)
}

type sentTo struct{ Send struct{ ID string } }

// rests is a process's resident memory once it has stopped giving any back.
func rests(ctx context.Context, pid int) (lowest int64, err error) {
	for quiet := 0; quiet < 6; quiet++ {
		now, err := residentBytes(pid)
		if err != nil {
			return 0, err
		}
		if lowest == 0 || now < lowest-(64<<10) {
			lowest, quiet = now, 0
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return lowest, nil
}

// residentBytes reads a process's resident memory from /proc.
func residentBytes(pid int) (int64, error) { return status(pid, "VmRSS:") }

// status reads a size from /proc, in bytes.
func status(pid int, name string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no %s for process %d", name, pid)
}
