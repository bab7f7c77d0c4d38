package main

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"carillon/internal/lab"
)

// binary builds the server once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "carillon-faults-")
	if err != nil {
		return "", err
	}
	return lab.Build(context.Background(), dir)
})

// setups runs test on both set-ups. Without PostgreSQL's and Redis' programs
// the second is skipped, or fails in CI.
func setups(t *testing.T, test func(t *testing.T, name, binary string)) {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("embedded", func(t *testing.T) { test(t, "embedded", bin) })
	t.Run("production", func(t *testing.T) {
		_, redisErr := exec.LookPath("redis-server")
		_, pgErr := lab.PostgresBin()
		if redisErr != nil || pgErr != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("PostgreSQL's or Redis' programs are missing:", pgErr, redisErr)
			}
			t.Skip("PostgreSQL's or Redis' programs are missing")
		}
		test(t, "production", bin)
	})
}

func TestNothingAcknowledgedIsLostByKill(t *testing.T) {
	setups(t, func(t *testing.T, name, binary string) {
		story := crashStory{kills: 10, senders: 6, users: 12, between: [2]time.Duration{150 * time.Millisecond, 500 * time.Millisecond}, seed: 1}
		report, err := onSetup(t.Context(), name, binary, t.TempDir(), story.run)
		t.Log(report)
		if err != nil {
			t.Fatal(err)
		}
		if report.acknowledged < 50 || report.retries == 0 {
			t.Errorf("the story proves little: %s", report)
		}
	})
}
