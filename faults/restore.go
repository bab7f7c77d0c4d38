package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"carillon/internal/lab"
)

// restoreStory is a backup that is made under load, a server that goes on and
// then loses its database, and the backup in its place: what was accepted
// before the backup is there, and clients that are ahead of it begin anew.
type restoreStory struct {
	each    time.Duration // of load before, beside and after the backup
	senders int
	users   int
	clients int
	seed    uint64
}

// restoreReport is what the story found.
type restoreReport struct {
	load      *load
	tally     tally
	took      time.Duration // to make the backup
	ready     time.Duration // from the restored database to the first answer
	uncertain int           // sends accepted beside the backup or after it
}

func (r restoreReport) String() string {
	return fmt.Sprintf("%s; backup made in %s, ready %s after the restore, %d sends after the backup; %s", r.load, round(r.took), round(r.ready), r.uncertain, r.tally)
}

// run tells the story on s. The error says which promise was broken.
func (c restoreStory) run(ctx context.Context, s *lab.Setup) (report restoreReport, err error) {
	report.load = &load{seed: c.seed}
	l := report.load
	w, end, err := begun(ctx, s, c.users, l)
	defer end(&err)
	if err != nil {
		return report, err
	}
	list, err := newFollowers(ctx, s, c.clients, w.users, c.seed, w.urls()...)
	if err != nil {
		return report, err
	}
	for _, f := range list {
		f.view.restores = 1
	}
	report.tally, err = following(ctx, list, w.client(0), func(ctx context.Context) error {
		if err := allBegun(ctx, list); err != nil {
			return err
		}
		return c.drill(ctx, w, &report)
	})
	if err != nil {
		return report, err
	}
	for _, f := range list {
		if f.tally.resets == 0 {
			return report, fmt.Errorf("%s was not told that the database is another one", f.name)
		}
	}
	if err := l.verify(ctx); err != nil {
		return report, err
	}
	return report, w.verify(ctx)
}

func (c restoreStory) drill(ctx context.Context, w *world, report *restoreReport) error {
	l := report.load
	wait := func() error { return pause(ctx, c.each) }
	if err := l.during(ctx, c.senders, wait); err != nil {
		return err
	}
	certain := len(l.kept)
	file := filepath.Join(w.setup.Dir, "backup")
	err := l.during(ctx, c.senders, func() error {
		if err := wait(); err != nil {
			return err
		}
		began := time.Now()
		if err := backUp(ctx, w.setup, file); err != nil {
			return err
		}
		report.took = time.Since(began)
		return wait()
	})
	if err != nil {
		return err
	}
	report.uncertain = len(l.kept) - certain
	l.uncertain, l.kept = l.kept[certain:], l.kept[:certain:certain]
	w.servers[0].Kill()
	if err := restore(ctx, w, file); err != nil {
		return err
	}
	if report.ready, err = w.again(ctx, 0); err != nil {
		return err
	}
	return l.during(ctx, c.senders, wait)
}

// backUp does what docs/backup.md says.
func backUp(ctx context.Context, s *lab.Setup, file string) error {
	if s.Postgres != nil {
		return s.Postgres.Dump(ctx, "postgres", file)
	}
	_, err := s.CLI(ctx, "backup", "--to", file)
	return err
}

// restore does what docs/backup.md says.
func restore(ctx context.Context, w *world, file string) error {
	if pg := w.setup.Postgres; pg != nil {
		url, err := pg.CreateDatabase(ctx, "restored")
		if err != nil {
			return err
		}
		w.setup.Env = append(w.setup.Env, "DATABASE_URL="+url)
		return pg.RestoreDump(ctx, "restored", file)
	}
	database := filepath.Join(w.setup.Dir, "data", "carillon.db")
	for _, name := range []string{database, database + "-wal", database + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return copyFile(database, file)
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
