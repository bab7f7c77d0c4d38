package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"carillon/internal/lab"
)

// migrateStory is servers that start on an empty database: two at the same
// moment, and one that is killed at any point of it, several times over.
// Whatever happens, the next start goes on by itself and ends with the same
// schema.
type migrateStory struct {
	races int
	kills int // starts that are killed
	row   int // at most so many of them on one database
	seed  uint64
}

// migrateReport is what the story found.
type migrateReport struct {
	races, killed, databases int
	starts                   timings // after kills
}

func (r *migrateReport) String() string {
	return fmt.Sprintf("%d races of two servers, %d starts killed on %d databases, starts after that %s", r.races, r.killed, r.databases, r.starts.String())
}

// migrateRun is the story while it is told.
type migrateRun struct {
	setup   *lab.Setup
	random  *rand.Rand
	report  *migrateReport
	schema  string        // as it should be
	n       int           // databases so far
	longest time.Duration // a start that was left alone
}

// run tells the story on s. The error says which promise was broken.
func (m migrateStory) run(ctx context.Context, s *lab.Setup) (*migrateReport, error) {
	r := &migrateRun{setup: s, random: rand.New(rand.NewPCG(m.seed, 0)), report: new(migrateReport)}
	if err := r.alone(ctx); err != nil {
		return r.report, err
	}
	for range m.races {
		if err := r.race(ctx); err != nil {
			return r.report, fmt.Errorf("two servers on an empty database: %w", err)
		}
		r.report.races++
	}
	for r.report.killed < m.kills {
		if err := r.interrupted(ctx, 1+r.random.IntN(m.row)); err != nil {
			return r.report, fmt.Errorf("a start that was killed: %w", err)
		}
	}
	return r.report, nil
}

// place is an empty database.
type place struct {
	name     string
	settings []string
}

// empty makes an empty database, with a data folder of its own.
func (r *migrateRun) empty(ctx context.Context) (place, error) {
	r.n++
	p := place{name: fmt.Sprintf("empty%d", r.n)}
	p.settings = []string{"DATA_DIR=" + p.dir(r.setup)}
	if r.setup.Postgres == nil {
		return p, nil
	}
	url, err := r.setup.Postgres.CreateDatabase(ctx, p.name)
	p.settings = append(p.settings, "DATABASE_URL="+url)
	return p, err
}

func (p place) dir(s *lab.Setup) string { return filepath.Join(s.Dir, p.name) }

// dump is the schema of a database, as text.
func (r *migrateRun) dump(ctx context.Context, p place) (string, error) {
	if r.setup.Postgres != nil {
		return r.setup.Postgres.Schema(ctx, p.name)
	}
	return sqliteSchema(ctx, filepath.Join(p.dir(r.setup), "carillon.db"))
}

// alone notes what a start that nobody disturbs leads to.
func (r *migrateRun) alone(ctx context.Context) error {
	p, err := r.empty(ctx)
	if err != nil {
		return err
	}
	srv, took, err := r.serve(ctx, p)
	if err != nil {
		return err
	}
	srv.Kill()
	r.longest = took
	r.schema, err = r.dump(ctx, p)
	return err
}

func (r *migrateRun) serve(ctx context.Context, p place) (*lab.Server, time.Duration, error) {
	addr, err := lab.FreeAddr()
	if err != nil {
		return nil, 0, err
	}
	return r.setup.ServeOn(ctx, addr, p.settings...)
}

// started is what became of a server.
type started struct {
	srv *lab.Server
	err error
}

// race starts two servers at the same moment. In production both must become
// ready; an SQLite file admits one, and the other must say so.
func (r *migrateRun) race(ctx context.Context) error {
	p, err := r.empty(ctx)
	if err != nil {
		return err
	}
	results := make(chan started, 2)
	for range cap(results) {
		go func() {
			srv, _, err := r.serve(ctx, p)
			results <- started{srv, err}
		}()
	}
	var failed []error
	for range cap(results) {
		if s := <-results; s.err != nil {
			failed = append(failed, s.err)
		} else {
			defer s.srv.Kill()
		}
	}
	refused := 0
	if r.setup.Postgres == nil {
		refused = 1
	}
	if len(failed) != refused {
		return fmt.Errorf("%d of 2 did not start: %w", len(failed), errors.Join(failed...))
	}
	return r.check(ctx, p)
}

// interrupted kills starts on one database at random moments, then starts a
// server that is left alone.
func (r *migrateRun) interrupted(ctx context.Context, times int) error {
	p, err := r.empty(ctx)
	if err != nil {
		return err
	}
	r.report.databases++
	for range times {
		addr, err := lab.FreeAddr()
		if err != nil {
			return err
		}
		proc, err := r.setup.Launch(addr, p.settings...)
		if err != nil {
			return err
		}
		err = pause(ctx, between(r.random, [2]time.Duration{0, r.longest}))
		proc.Kill()
		if err != nil {
			return err
		}
		r.report.killed++
	}
	srv, took, err := r.serve(ctx, p)
	if err != nil {
		return err
	}
	srv.Kill()
	r.report.starts.add(took)
	return r.check(ctx, p)
}

// check compares the schema with the one that it should be.
func (r *migrateRun) check(ctx context.Context, p place) error {
	schema, err := r.dump(ctx, p)
	if err == nil && schema != r.schema {
		err = fmt.Errorf("the schema of %s is another one:\n%s", p.name, schema)
	}
	return err
}
