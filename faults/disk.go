package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"carillon/internal/lab"
)

// diskStory is a disk that is full now and then, under a steady load: what
// cannot be written is refused, what can be read is read, and nothing is lost.
type diskStory struct {
	rounds  int
	each    time.Duration // how long it is full
	senders int
	users   int
	clients int
	seed    uint64
}

// diskReport is what the story found.
type diskReport struct {
	load  *load
	tally tally
	back  *timings // from there being space to the first send
}

func (r diskReport) String() string {
	return fmt.Sprintf("%s; sends again %s after there is space; %s", r.load, r.back, r.tally)
}

// errNoMount says that this process may not make a disk.
var errNoMount = errors.New("no disk of its own can be mounted here")

// run tells the story on s. The error says which promise was broken.
func (d diskStory) run(ctx context.Context, s *lab.Setup) (report diskReport, err error) {
	report = diskReport{load: &load{seed: d.seed}, back: new(timings)}
	disk := filepath.Join(s.Dir, "data")
	unmount, err := mountDisk(disk, 64<<20)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, unmount()) }()
	w, err := newWorld(ctx, s, d.users)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	if _, err := w.start(ctx); err != nil {
		return report, err
	}
	l := report.load
	l.clients, l.users = w.clients(), w.users
	list, err := newFollowers(ctx, s, d.clients, w.users, d.seed, w.urls()...)
	if err != nil {
		return report, err
	}
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		return l.during(ctx, d.senders, func() error {
			for n := range d.rounds {
				if err := d.fill(ctx, w, &report, filepath.Join(disk, "filler"), n); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return report, err
	}
	if err := l.verify(ctx); err != nil {
		return report, err
	}
	return report, w.verify(ctx)
}

// mountDisk mounts a disk of so many bytes, in memory.
func mountDisk(dir string, size int) (unmount func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := syscall.Mount("carillon-faults", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", size)); err != nil {
		return nil, errors.Join(errNoMount, err)
	}
	return func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}

// fill fills the disk for a while, and sees how the server bears it.
func (d diskStory) fill(ctx context.Context, w *world, report *diskReport, filler string, n int) error {
	if err := pause(ctx, d.each/2); err != nil {
		return err
	}
	if err := fillDisk(filler); err != nil {
		return err
	}
	c := w.client(0)
	defer c.Close()
	err := lab.Poll(ctx, settleWithin, func() error { // there may be a little room in the files that there are
		return refusesWrites(ctx, c, report.load, fmt.Sprintf("full-%d", n), w.users[0])
	})
	if err == nil {
		_, err = c.Inbox(ctx, w.users[0], true)
	}
	if err == nil {
		var status int
		if status, err = get(ctx, w.servers[0].URL+"/healthz"); err == nil && status != http.StatusOK {
			err = fmt.Errorf("/healthz answered %d", status)
		}
	}
	if err == nil {
		err = pause(ctx, d.each)
	}
	if err := errors.Join(err, os.Remove(filler)); err != nil {
		return fmt.Errorf("while the disk was full: %w", err)
	}
	began := time.Now()
	p := promise{key: fmt.Sprintf("space-%d", n), to: w.users[:1]}
	if p.id, _, err = report.load.insist(ctx, p); err != nil {
		return fmt.Errorf("when there was space again: %w", err)
	}
	report.back.add(time.Since(began))
	report.load.mu.Lock()
	defer report.load.mu.Unlock()
	report.load.kept = append(report.load.kept, p)
	return nil
}

// refusesWrites is an error unless a large send is told to come back. It is
// owed then.
func refusesWrites(ctx context.Context, c *lab.Client, l *load, key, user string) error {
	p := promise{key: fmt.Sprintf("%s-%d", key, time.Now().UnixNano()), to: []string{user}}
	id, _, err := c.Send(ctx, p.to, p.key, p.key)
	refused, answered := errors.AsType[*lab.AnswerError](err)
	switch {
	case err == nil:
		p.id = id
		l.mu.Lock()
		l.kept = append(l.kept, p)
		l.mu.Unlock()
		return errors.New("a send was accepted on a full disk")
	case !answered:
		return err
	case !refused.Temporary():
		return lab.StopPolling{Err: fmt.Errorf("a send had the wrong answer: %w", err)}
	}
	l.owe(p)
	return nil
}

// fillDisk writes until there is no space.
func fillDisk(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	for size := 1 << 20; size > 0; size /= 2 { // to the last byte
		block := make([]byte, size)
		for {
			if _, err = f.Write(block); err != nil {
				break
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}
