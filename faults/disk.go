package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"carillon/internal/lab"
)

// diskStory is a disk of the database that is full now and then, under a steady
// load: what cannot be written is refused, what can be read is read, and nothing is
// lost. PostgreSQL refuses what it has no room for in its tables; when there is none
// for its log, it breaks down, and is started again when there is.
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
	disks, unmount, err := mountDisks(ctx, s)
	defer func() { err = errors.Join(err, unmount()) }()
	if err != nil {
		return report, err
	}
	l := report.load
	w, end, err := begun(ctx, s, d.users, l)
	defer end(&err)
	if err != nil {
		return report, err
	}
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
				for _, disk := range disks {
					if err := d.fill(ctx, w, &report, disk, n); err != nil {
						return fmt.Errorf("%s: %w", disk.name, err)
					}
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

// disk is one that is filled.
type disk struct {
	name string // what is kept there
	dir  string
	// need has the database need more room, where it might get along for long; nil:
	// what is written does.
	need func(context.Context)
	// reads says that reading goes on. Then it heals by itself, too; else heal has it
	// do so, once there is room.
	reads bool
	heal  func(context.Context) error
}

// mountDisks gives the database a disk of its own: SQLite for all there is;
// PostgreSQL one for its tables and one for its log, without which it ends.
func mountDisks(ctx context.Context, s *lab.Setup) (disks []disk, unmount func() error, err error) {
	mounted := []func() error{}
	unmount = func() (err error) {
		for _, one := range mounted {
			err = errors.Join(err, one())
		}
		return err
	}
	mount := func(dir string, size int) error {
		one, err := mountDisk(dir, size)
		if err == nil {
			mounted = append(mounted, one)
		}
		return err
	}
	if s.Postgres == nil {
		all := disk{name: "the database", dir: filepath.Join(s.Dir, "data"), reads: true}
		return []disk{all}, unmount, mount(all.dir, 64<<20)
	}
	pg := s.Postgres
	tables := disk{name: "the tables", dir: filepath.Join(s.Dir, "tables"), reads: true}
	log := disk{name: "the write-ahead log", dir: filepath.Join(s.Dir, "log"), need: func(ctx context.Context) { needsLog(ctx, pg) }}
	log.heal = func(ctx context.Context) error { return comesUp(ctx, pg) }
	for _, d := range []disk{tables, log} {
		if err := mount(d.dir, 128<<20); err != nil {
			return nil, unmount, err
		}
	}
	return []disk{tables, log}, unmount, errors.Join(pg.KeepLog(ctx, log.dir), pg.Keep(ctx, tables.dir))
}

// needsLog has PostgreSQL begin a new file of its log. Without room for one it
// breaks down, again and again if it comes up at all.
func needsLog(ctx context.Context, pg *lab.Postgres) {
	_ = pg.SQL(ctx, "create table if not exists filler (n int)", "insert into filler values (1)", "select pg_switch_wal()") // it may have broken down
}

// comesUp waits for PostgreSQL, and starts it if it has given up.
func comesUp(ctx context.Context, pg *lab.Postgres) error {
	return lab.Poll(ctx, settleWithin, func() error {
		if pg.Ended() {
			if err := pg.Start(ctx); err != nil {
				return err
			}
		}
		return pg.SQL(ctx, "select 1")
	})
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

// fill fills a disk for a while, and sees how the server bears it.
func (d diskStory) fill(ctx context.Context, w *world, report *diskReport, full disk, n int) error {
	if err := pause(ctx, d.each/2); err != nil {
		return err
	}
	filler := filepath.Join(full.dir, "filler")
	if err := fillDisk(filler); err != nil {
		return err
	}
	err := d.bears(ctx, w, report.load, full, n)
	if err := errors.Join(err, os.Remove(filler)); err != nil {
		return fmt.Errorf("while the disk was full: %w", err)
	}
	began := time.Now()
	if full.heal != nil {
		if err := full.heal(ctx); err != nil {
			return fmt.Errorf("when there was space again: %w", err)
		}
	}
	p := promise{key: fmt.Sprintf("space-%s-%d", full.name, n), to: w.users[:1]}
	if p.id, _, err = report.load.insist(ctx, p); err != nil {
		return fmt.Errorf("when there was space again: %w", err)
	}
	report.back.add(time.Since(began))
	report.load.mu.Lock()
	defer report.load.mu.Unlock()
	report.load.kept = append(report.load.kept, p)
	return nil
}

// bears sees that writes are refused while a disk is full, and reads are not.
func (d diskStory) bears(ctx context.Context, w *world, l *load, full disk, n int) error {
	c := w.client(0)
	defer c.Close()
	if err := lab.Poll(ctx, settleWithin, func() error { // there may be a little room in the files that there are
		if full.need != nil {
			full.need(ctx)
		}
		return refusesWrites(ctx, c, l, fmt.Sprintf("full-%d", n), w.users[0])
	}); err != nil {
		return err
	}
	if full.reads {
		if _, err := c.Inbox(ctx, w.users[0], true); err != nil {
			return err
		}
	}
	status, err := get(ctx, w.servers[0].URL+"/healthz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/healthz answered %d", status)
	}
	return errors.Join(err, pause(ctx, d.each))
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
	case !refused.Temporary(), !strings.Contains(refused.Body, "retryAfterSeconds"):
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
