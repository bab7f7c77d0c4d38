package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"carillon/internal/lab"
)

// filesStory is a server that may open no more files, since others have opened
// connections and say nothing: whoever is connected is served, or told to come
// back; others are when there is room again.
type filesStory struct {
	files int // that the server may have open
	asks  int // over each of the connections that were there before
}

// filesReport is what the story found.
type filesReport struct {
	load   *load
	open   int           // files when there was no room
	served int           // requests meanwhile
	back   time.Duration // from there being room to the first answer to a new client
}

func (r filesReport) String() string {
	return fmt.Sprintf("%d files open; %d sends acknowledged and %d refused meanwhile over old connections; a new one was served %s after there was room", r.open, r.served, r.load.refused.Load(), round(r.back))
}

// run tells the story on s. The error says which promise was broken.
func (f filesStory) run(ctx context.Context, s *lab.Setup) (report filesReport, err error) {
	report.load = new(load)
	s.Files = f.files
	l := report.load
	w, end, err := begun(ctx, s, 4, l)
	defer end(&err)
	if err != nil {
		return report, err
	}
	c := l.client()
	if _, err := c.Inbox(ctx, w.users[0], true); err != nil { // its connection is kept
		return report, err
	}
	socket, err := c.Dial(ctx)
	if err != nil {
		return report, err
	}
	defer socket.Close()
	idle, err := f.crowd(ctx, w.servers[0], &report)
	if err == nil {
		err = f.ask(ctx, w, socket, &report)
	}
	for _, conn := range idle {
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		return report, err
	}
	began := time.Now()
	fresh := w.client(0)
	defer fresh.Close()
	if err := lab.Poll(ctx, settleWithin, func() error { _, err := fresh.Inbox(ctx, w.users[0], true); return err }); err != nil {
		return report, fmt.Errorf("when there was room again: %w", err)
	}
	report.back = time.Since(began)
	return report, errors.Join(l.settle(ctx), l.verify(ctx))
}

// crowd opens connections that say nothing until the server has no room for one
// more. What is more than that waits to be accepted, and takes the place of each
// that the server closes.
func (f filesStory) crowd(ctx context.Context, srv *lab.Server, report *filesReport) (idle []net.Conn, err error) {
	for range 8 * f.files {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(srv.URL, "http://"), 10*time.Second)
		if err != nil {
			return idle, err
		}
		idle = append(idle, conn)
	}
	return idle, lab.Poll(ctx, settleWithin, func() error {
		if report.open, err = srv.OpenFiles(); err == nil && report.open < f.files {
			err = fmt.Errorf("%d files are open, of %d", report.open, f.files)
		}
		return err
	})
}

// ask sends over the connections that there were before, each of which must be
// answered.
func (f filesStory) ask(ctx context.Context, w *world, socket *lab.Socket, report *filesReport) error {
	l := report.load
	for n := range 2 * f.asks {
		p := promise{key: fmt.Sprintf("crowded-%d", n), to: w.users[n%len(w.users):][:1]}
		var err error
		if n%2 == 0 {
			p.id, _, err = l.client().Send(ctx, p.to, p.key, p.key)
		} else {
			p.id, _, err = socket.Send(p.to, p.key, p.key)
		}
		refused, answered := errors.AsType[*lab.AnswerError](err)
		switch {
		case err == nil:
			report.served++
			l.kept = append(l.kept, p)
		case answered && refused.Temporary():
			l.refused.Add(1)
			l.owe(p)
		default:
			return fmt.Errorf("with %d files open: %w", report.open, err)
		}
	}
	return nil
}
