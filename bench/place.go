package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"carillon/internal/lab"
)

// place is where the measurements happen, and what they came to.
type place struct {
	options
	setup   *lab.Setup
	crowd   *crowd // nil until it is asked for
	results []result
}

// result is one line of the table at the end. What has no counterpart leaves
// bare and ratio empty.
type result struct {
	work, ours, bare, ratio string
	cpu                     string
}

func (p *place) add(r result) {
	fmt.Fprintf(os.Stderr, "  %s: %s, counterpart %s, ratio %s, CPU %s\n", r.work, r.ours, r.bare, r.ratio, r.cpu)
	p.results = append(p.results, r)
}

// addRates adds what was measured as operations a second.
func (p *place) addRates(work string, ours, bare samples) {
	p.add(result{
		work: work, ours: fmt.Sprintf("%.0f/s", ours.rate()), bare: fmt.Sprintf("%.0f/s", bare.rate()),
		ratio: fmt.Sprintf("%.2f", ours.rate()/bare.rate()), cpu: ours.cpu() + " : " + bare.cpu(),
	})
}

func (p *place) print(to io.Writer) error {
	fmt.Fprintf(to, "\n%d cores, %s, PostgreSQL and Redis on loopback, fsync on, median of %d rounds of %s\n\n", runtime.NumCPU(), runtime.Version(), p.rounds, p.length)
	w := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "work\tours\tcounterpart\tratio\tCPU per operation, server + PostgreSQL, ours : counterpart")
	for _, r := range p.results {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.work, r.ours, r.bare, r.ratio, r.cpu)
	}
	return w.Flush()
}

// sample is one round: what was done in which time, at which cost.
type sample struct {
	count       int
	took        time.Duration
	server, sql time.Duration // CPU
}

// samples are the rounds of one side.
type samples []sample

// rate is the median of operations a second.
func (s samples) rate() float64 {
	return median(s, func(s sample) float64 { return float64(s.count) / s.took.Seconds() })
}

// cpu is the median cost of an operation.
func (s samples) cpu() string {
	per := func(d func(sample) time.Duration) float64 {
		return median(s, func(s sample) float64 { return float64(d(s).Nanoseconds()) / 1000 / float64(s.count) })
	}
	return fmt.Sprintf("%.1f + %.1f µs", per(func(s sample) time.Duration { return s.server }), per(func(s sample) time.Duration { return s.sql }))
}

func median[T any](of []T, value func(T) float64) float64 {
	list := make([]float64, len(of))
	for i, v := range of {
		list[i] = value(v)
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// side is a running server, ours or the counterpart.
type side struct {
	name string
	*lab.Process
	addr     string
	sql      *lab.Postgres // nil: none
	profiles string        // where its profiles are to be had; empty: nowhere
}

// serve starts the server with settings of its own.
func (p *place) serve(ctx context.Context, setup *lab.Setup, settings ...string) (*side, error) {
	s := &side{name: "ours", addr: setup.Addr, sql: setup.Postgres}
	if p.profiles != "" {
		at, err := lab.FreeAddr()
		if err != nil {
			return nil, err
		}
		s.profiles = "http://" + at + "/debug/pprof"
		settings = append(settings, "METRICS_ADDR="+at, "PROFILES=true")
	}
	srv, _, err := setup.ServeOn(ctx, setup.Addr, settings...)
	if err != nil {
		return nil, err
	}
	s.Process = srv.Process
	return s, nil
}

// mutate runs mutations, each of which asks for userErrors { path message }, and
// wants none.
func mutate(ctx context.Context, client *lab.Client, fields string) error {
	var out map[string]struct {
		UserErrors []struct {
			Path    []string
			Message string
		}
	}
	if err := client.Do(ctx, "mutation { "+fields+" }", nil, &out); err != nil {
		return err
	}
	for name, payload := range out {
		if len(payload.UserErrors) > 0 {
			return fmt.Errorf("%s is refused: %v", name, payload.UserErrors)
		}
	}
	return nil
}

// counterpart starts this program in its other role.
func (p *place) counterpart(ctx context.Context) (*side, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := lab.FreeAddr()
	if err != nil {
		return nil, err
	}
	proc, err := lab.Start("counterpart", p.setup.Env, self, "-bare", addr)
	if err != nil {
		return nil, err
	}
	if err := lab.Poll(ctx, 20*time.Second, func() error { return lab.Ready(ctx, "http://"+addr) }); err != nil {
		return nil, fmt.Errorf("%w: %s", err, proc.Log())
	}
	return &side{name: "counterpart", Process: proc, addr: addr, sql: p.setup.Postgres}, nil
}

// both starts ours and the counterpart; end ends them.
func (p *place) both(ctx context.Context, settings ...string) (ours, bare *side, end func(), err error) {
	if ours, err = p.serve(ctx, p.setup, settings...); err != nil {
		return nil, nil, nil, err
	}
	if bare, err = p.counterpart(ctx); err != nil {
		ours.Kill()
		return nil, nil, nil, err
	}
	return ours, bare, func() {
		ours.Kill()
		bare.Kill()
	}, nil
}

// watch measures what do does, and what it cost. The server's profile of the
// time is written under a name, when profiles are wanted.
func (p *place) watch(ctx context.Context, s *side, name string, do func() (count int, took time.Duration, err error)) (sample, error) {
	profiled := make(chan error, 1)
	if s.profiles != "" {
		go func() { profiled <- p.profile(ctx, s, name) }()
	} else {
		profiled <- nil
	}
	before, err := usageOf(s)
	if err != nil {
		return sample{}, err
	}
	count, took, err := do()
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", s.name, err, s.Log())
	}
	after, err := usageOf(s)
	if err != nil {
		return sample{}, err
	}
	if count == 0 {
		return sample{}, errors.New("nothing was done in the whole time")
	}
	return sample{count: count, took: took, server: after.server - before.server, sql: after.sql - before.sql}, <-profiled
}

// profile fetches a CPU profile of as long as a measurement takes.
func (p *place) profile(ctx context.Context, s *side, name string) error {
	seconds := max(1, int(p.length.Seconds()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/profile?seconds=%d", s.profiles, seconds), nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("fetching a profile: %w", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("fetching a profile: %s, %w", res.Status, err)
	}
	return os.WriteFile(filepath.Join(p.profiles, name+".pprof"), b, 0o600)
}
