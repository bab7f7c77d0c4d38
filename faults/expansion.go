package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"carillon/internal/cursor"
	"carillon/internal/lab"
)

// expansionStory is a send to a topic that everybody is on, with all servers
// killed again and again while they work on it: in the end everybody has it
// once. Then what it says is edited, with a kill while inboxes are told: in the
// end everybody was told once. Then another, which is cancelled on its way, with a kill right after:
// it goes no further.
type expansionStory struct {
	users int
	kills int
	seed  uint64
}

// expansionReport is what the story found.
type expansionReport struct {
	users     int
	accepted  time.Duration // from asking to the answer
	kills     []int         // how many had it when the servers were killed
	took      time.Duration // from the answer to the end, restarts included
	cancelled int           // how many had the other when it was cancelled
	told      int           // events of the subscription to the progress of the first
	first     string        // its id
	midway    bool          // the servers were killed while inboxes were told of the edit
}

func (r expansionReport) String() string {
	return fmt.Sprintf("%d users, accepted within %s, killed when %v had it, ended after %s, as %d events told; killed midway through an edit: %t; another was cancelled when %d had it",
		r.users, round(r.accepted), r.kills, round(r.took), r.told, r.midway, r.cancelled)
}

// acceptWithin is the longest that accepting a large send may take: ten times
// what it should.
const acceptWithin = 2 * time.Second

// run tells the story on s. The error says which promise was broken.
func (c expansionStory) run(ctx context.Context, s *lab.Setup) (report expansionReport, err error) {
	report.users = c.users
	w, err := newWorld(ctx, s, 1)
	if err != nil {
		return report, err
	}
	defer w.close()
	servers := 1
	if s.Postgres != nil {
		servers = 2
	}
	for range servers {
		if _, err := w.start(ctx); err != nil {
			return report, err
		}
	}
	client := lab.NewPatientClient(w.servers[0].URL, w.env.SecretKey, time.Minute)
	if err := client.Crowd(ctx, "all", c.users); err != nil {
		return report, fmt.Errorf("making the crowd: %w", err)
	}
	if err := c.killed(ctx, w, &report); err != nil {
		return report, err
	}
	if err := c.edited(ctx, w, &report); err != nil {
		return report, err
	}
	if err := c.cancelled(ctx, w, &report); err != nil {
		return report, err
	}
	return report, errors.Join(c.count(ctx, w, report.cancelled), w.verify(ctx))
}

// killed sends to everybody and kills all servers on the way.
func (c expansionStory) killed(ctx context.Context, w *world, report *expansionReport) error {
	began := time.Now()
	p, err := w.client(0).Broadcast(ctx, "all", "first", "first")
	if err != nil {
		return err
	}
	report.accepted = time.Since(began)
	if report.accepted > acceptWithin || p.Status != "EXPANDING" && p.Status != "SENT" {
		return fmt.Errorf("accepted as %s after %s", p.Status, report.accepted)
	}
	random := rand.New(rand.NewPCG(c.seed, 0))
	following, stop := context.WithCancel(ctx)
	defer stop()
	follower := followProgress(following, w.servers[0].URL, w.env.SecretKey, p.ID)
	began = time.Now()
	for n := range c.kills {
		// Each kill comes somewhere in its share of the way.
		part := c.users / (c.kills + 1)
		now, err := c.until(ctx, w, p.ID, n*part+random.IntN(part))
		if err != nil {
			return err
		}
		for _, i := range random.Perm(len(w.servers)) {
			w.servers[i].Kill()
		}
		report.kills = append(report.kills, now.Done)
		for i := range w.servers {
			if _, err := w.again(ctx, i); err != nil {
				return err
			}
		}
	}
	last, err := c.until(ctx, w, p.ID, c.users)
	if err != nil {
		return err
	}
	report.took = time.Since(began)
	if last != (lab.Progress{ID: p.ID, Status: "SENT", Total: c.users, Done: c.users}) {
		return fmt.Errorf("the send ended as %+v", last)
	}
	told, err := follower.wait(ctx)
	if err == nil && told != last {
		err = fmt.Errorf("it ended as %+v", told)
	}
	if err != nil {
		return fmt.Errorf("following the send: %w", err)
	}
	report.told, report.first = follower.events, p.ID
	return nil
}

// edited edits the first send, kills all servers while they tell the inboxes, and
// waits until the last one has been told. A user is told by id, so the newest is
// told last.
func (c expansionStory) edited(ctx context.Context, w *world, report *expansionReport) error {
	if err := w.client(0).EditSend(ctx, report.first, "edited", "edit"); err != nil {
		return err
	}
	for _, s := range w.servers {
		s.Kill()
	}
	for i := range w.servers {
		if _, err := w.again(ctx, i); err != nil {
			return err
		}
	}
	client := lab.NewPatientClient(w.servers[0].URL, w.env.SecretKey, time.Minute)
	defer client.Close()
	return lab.Poll(ctx, insistFor, func() error {
		var last lab.CrowdInbox
		err := client.EachInbox(ctx, func(in lab.CrowdInbox) error { last = in; return errEnough })
		if !errors.Is(err, errEnough) {
			return err
		}
		if n, err := changes(last); err != nil || n < 2 {
			report.midway = report.midway || err == nil
			return cmp.Or(err, fmt.Errorf("%s has not been told of the edit", last.User))
		}
		return nil
	})
}

// errEnough ends a look at inboxes.
var errEnough = errors.New("that will do")

// changes is how often an inbox has changed: its seq.
func changes(in lab.CrowdInbox) (int64, error) {
	p, err := cursor.DecodePosition(in.Position)
	return p.Seq, err
}

// until waits until so many have a send, or it has ended, and holds its
// progress to never going back.
func (c expansionStory) until(ctx context.Context, w *world, id string, done int) (lab.Progress, error) {
	client := w.client(0)
	defer client.Close()
	var before lab.Progress
	err := lab.Poll(ctx, insistFor, func() error {
		now, err := client.Progress(ctx, id)
		switch {
		case err != nil:
			return err
		case now.Done < before.Done, now.Total >= 0 && now.Done+now.Skipped > now.Total, now.Failed > 0:
			return lab.StopPolling{Err: fmt.Errorf("progress went from %+v to %+v", before, now)}
		}
		before = now
		if now.Status == "EXPANDING" && (now.Done < done || done == c.users) {
			return fmt.Errorf("it has come to %+v", now)
		}
		return nil
	})
	return before, err
}

// cancelled cancels another send on its way, and kills the servers.
func (c expansionStory) cancelled(ctx context.Context, w *world, report *expansionReport) error {
	client := w.client(0)
	p, err := client.Broadcast(ctx, "all", "second", "second")
	if err != nil {
		return err
	}
	if _, err := c.until(ctx, w, p.ID, 1); err != nil {
		return err
	}
	told, err := client.Cancel(ctx, p.ID)
	if refused, ok := errors.AsType[*lab.AnswerError](err); ok && refused.Status == http.StatusOK {
		return fmt.Errorf("the send of %d had ended before it could be cancelled: %w", c.users, err)
	} else if err != nil {
		return err
	}
	for i := range w.servers {
		w.servers[i].Kill()
		if _, err := w.again(ctx, i); err != nil {
			return err
		}
	}
	if err := pause(ctx, 2*time.Second); err != nil { // they look for work twice a second
		return err
	}
	now, err := w.client(0).Progress(ctx, p.ID)
	if err != nil {
		return err
	}
	if report.cancelled = now.Done; now != told || now.Status != "CANCELED" || now.Done >= c.users {
		return fmt.Errorf("the caller was told %+v, and it is %+v", told, now)
	}
	return nil
}

// count looks into every inbox: the first send once, as it was edited, the second
// at most once and in as many as its progress says; and one change of the inbox for
// each of the three.
func (c expansionStory) count(ctx context.Context, w *world, cancelled int) error {
	client := lab.NewPatientClient(w.servers[0].URL, w.env.SecretKey, time.Minute)
	users, second := 0, 0
	err := client.EachInbox(ctx, func(in lab.CrowdInbox) error {
		if in.User == w.users[0] {
			return nil // who is not on the topic
		}
		users++
		if len(in.Titles) == 2 {
			second++
		}
		n, err := changes(in)
		if err != nil {
			return err
		}
		if len(in.Titles) != in.Total || in.Titles[len(in.Titles)-1] != "edited" || in.Total > 2 || in.Total == 2 && in.Titles[0] != "second" || n != int64(in.Total)+1 {
			return fmt.Errorf("%s has %q, %d by the counter, and changed %d times", in.User, in.Titles, in.Total, n)
		}
		return nil
	})
	if err == nil && (users != c.users || second != cancelled) {
		err = fmt.Errorf("%d users have the first send and %d the second; want %d and %d", users, second, c.users, cancelled)
	}
	return err
}
