package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"carillon/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random choices")
	only := flag.String("story", "", "the `names` of stories to tell, by comma; empty: all of "+strings.Join(names(stories(0)), ", "))
	on := flag.String("on", "", "`embedded or production`; empty: both")
	flag.Parse()
	if err := soak(ctx, *seed, *only, *on); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// story is a story at full length.
type story struct {
	name string
	on   []string // set-ups
	tell func(context.Context, *lab.Setup) (fmt.Stringer, error)
}

// both are the set-ups.
var both = []string{"embedded", "production"}

// stories are all there are, in the order of telling.
func stories(seed uint64) []story {
	return []story{
		{"crash", both, told(crashStory{
			kills: 50, senders: 8, users: 50, clients: 10, seed: seed,
			between: [2]time.Duration{200 * time.Millisecond, 1500 * time.Millisecond},
		}.run)},
		{"resume", both, told(resumeStory{
			clients: 20, cuts: 200, changes: 5000, users: 5, seed: seed,
			between: [2]time.Duration{0, 700 * time.Millisecond},
		}.run)},
		{"retention", both, told(resumeStory{
			clients: 20, cuts: 100, changes: 5000, users: 5, seed: seed, settings: forgetful,
			between: [2]time.Duration{0, 1500 * time.Millisecond},
		}.run)},
		{"postgres", both[1:], told(postgresStory{
			rounds: 4, pause: 30 * time.Second, cutting: 20 * time.Second, deadline: 10 * time.Second,
			senders: 8, users: 50, clients: 10, seed: seed,
		}.run)},
		{"redis", both[1:], told(redisStory{each: 12 * time.Second, senders: 4, users: 5, clients: 10, seed: seed, late: 5 * time.Second}.run)},
		{"term", both, told(termStory{
			stops: 20, senders: 8, users: 30, clients: 10, seed: seed,
			between: [2]time.Duration{300 * time.Millisecond, 1500 * time.Millisecond},
		}.run)},
		{"schedule", both, told(scheduleStory{sends: 2000, kills: 10, window: 20 * time.Second, users: 30, clients: 10, seed: seed}.run)},
		{"expansion", both, told(expansionStory{users: 100_000, kills: 8, seed: seed}.run)},
		{"import", both, told(importStory{rows: 1_000_000, kills: 8}.run)},
		{"bombs", both, told(bombStory{times: 20, lanes: 4}.run)},
		{"subscribers", both, told(subscribersStory{idle: 1000, silent: 50, readers: 100, sends: 300, every: 20 * time.Millisecond}.run)},
		{"disk", both, told(diskStory{rounds: 5, each: 4 * time.Second, senders: 8, users: 20, clients: 6, seed: seed}.run)},
		{"files", both, told(filesStory{files: 256, asks: 200}.run)},
		{"log", both, told(logStory{requests: 20_000, senders: 8}.run)},
		{"restore", both, told(restoreStory{each: 5 * time.Second, senders: 8, users: 30, clients: 10, seed: seed}.run)},
		{"overload", both, told(overloadStory{users: 200, each: 10 * time.Second, length: time.Minute, seed: seed, judged: true}.run)},
		{"tenancy", both, told(tenancyStory{requests: 1_000_000, workers: 16, seed: seed}.run)},
		{"deliveries", both, told(deliveriesStory{
			carry: deliveries,
			kills: 60, senders: 4, every: 10 * time.Millisecond, users: 30, lease: 3 * time.Second, seed: seed,
			between: [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond},
		}.run)},
		{"webhooks", both, told(deliveriesStory{
			carry: events, // which an endpoint takes a hundred of a second
			kills: 60, senders: 1, every: 40 * time.Millisecond, users: 30, lease: 3 * time.Second, seed: seed,
			between: [2]time.Duration{500 * time.Millisecond, 1500 * time.Millisecond},
		}.run)},
		{"freeze", both, told(freezeStory{rounds: 3, held: 8, lease: 5 * time.Second, still: 30 * time.Second, senders: 4, users: 30, seed: seed}.run)},
		{"isolation", both, told(isolationStory{each: 15 * time.Second, every: 20 * time.Millisecond, lease: 3 * time.Second, late: 20 * time.Second}.run)},
		{"migrate", both, told(migrateStory{races: 20, kills: 50, row: 4, seed: seed}.run)},
	}
}

// told hides which report a story makes.
func told[R fmt.Stringer](run func(context.Context, *lab.Setup) (R, error)) func(context.Context, *lab.Setup) (fmt.Stringer, error) {
	return func(ctx context.Context, s *lab.Setup) (fmt.Stringer, error) { return run(ctx, s) }
}

func names(list []story) (all []string) {
	for _, s := range list {
		all = append(all, s.name)
	}
	return all
}

// longest is how long a story may take: a million requests to SQLite, whose
// writers take turns, need an hour and more.
const longest = 2 * time.Hour

// soak tells stories at full length, says what each found as it ends, and
// lists the results. It goes on after one that failed.
func soak(ctx context.Context, seed uint64, only, on string) error {
	all := stories(seed)
	for name := range strings.SplitSeq(only, ",") {
		if name != "" && !slices.Contains(names(all), name) {
			return fmt.Errorf("-story: there is no %q; there are %s", name, strings.Join(names(all), ", "))
		}
	}
	fmt.Println("seed", seed)
	dir, err := os.MkdirTemp("", "carillon-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := lab.Build(ctx, dir)
	if err != nil {
		return err
	}
	var errs []error
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "story\tset-up\ttook\tresult")
	for _, st := range all {
		if only != "" && !slices.Contains(strings.Split(only, ","), st.name) {
			continue
		}
		for _, name := range st.on {
			if on != "" && on != name || ctx.Err() != nil {
				continue
			}
			began := time.Now()
			err := once(ctx, st, name, binary, filepath.Join(dir, st.name+"-"+name))
			result := "held"
			if err != nil {
				result = "BROKEN"
				errs = append(errs, fmt.Errorf("%s, %s: %w", st.name, name, err))
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", st.name, name, time.Since(began).Round(time.Second), result)
		}
	}
	fmt.Println()
	return errors.Join(append(errs, ctx.Err(), table.Flush())...)
}

// once tells one story on one set-up, and prints what it found.
func once(ctx context.Context, st story, name, binary, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	report, err := onSetup(ctx, name, binary, dir, st.tell)
	fmt.Printf("%s, %s: %v\n", st.name, name, report)
	if err != nil {
		fmt.Println("  BROKEN:", err)
	}
	return err
}

// onSetup makes a set-up, runs a story on it, and takes it down again.
func onSetup[R any](ctx context.Context, name, binary, dir string, story func(context.Context, *lab.Setup) (R, error)) (report R, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return report, err
	}
	var s *lab.Setup
	if name == "embedded" {
		s, err = lab.Embedded(binary, dir)
	} else {
		s, err = lab.Production(ctx, binary, dir)
	}
	if err != nil {
		return report, err
	}
	defer func() {
		if closeErr := s.Close(); err == nil {
			err = closeErr
		}
	}()
	return story(ctx, s)
}
