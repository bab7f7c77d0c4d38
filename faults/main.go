package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"carillon/internal/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	kills := flag.Int("kills", 50, "how often the server is killed")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the random choices")
	flag.Parse()
	if err := soak(ctx, *kills, *seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// soak runs every story at full length on both set-ups and prints what it found.
func soak(ctx context.Context, kills int, seed uint64) error {
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
	for _, name := range []string{"embedded", "production"} {
		story := crashStory{kills: kills, senders: 8, users: 50, between: [2]time.Duration{300 * time.Millisecond, 1500 * time.Millisecond}, seed: seed}
		report, err := onSetup(ctx, name, binary, dir+"/"+name, story.run)
		fmt.Printf("kill -9, %s: %s\n", name, report)
		if err != nil {
			return err
		}
	}
	return nil
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
