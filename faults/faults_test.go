package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
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

func built(t *testing.T) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// setups runs test on both set-ups. Without PostgreSQL's and Redis' programs
// the second is skipped, or fails in CI.
func setups(t *testing.T, test func(t *testing.T, name, binary string)) {
	t.Helper()
	bin := built(t)
	onEmbedded(t, bin, test)
	onProduction(t, bin, test)
}

// onEmbedded runs a test of the embedded default.
func onEmbedded(t *testing.T, bin string, test func(t *testing.T, name, binary string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, "embedded", bin)
	})
}

// onProduction runs a test on PostgreSQL and Redis.
func onProduction(t *testing.T, bin string, test func(t *testing.T, name, binary string)) {
	t.Helper()
	t.Run("production", func(t *testing.T) {
		t.Parallel()
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
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, crashStory{kills: 10, senders: 6, users: 12, clients: 4, between: [2]time.Duration{150 * time.Millisecond, 500 * time.Millisecond}, seed: 1}.run)
		if len(report.load.kept) < 50 || report.load.cut.Load() == 0 || report.tally.broken == 0 {
			t.Error("the story proves little")
		}
	})
}

func TestStreamsResumeExactly(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, resumeStory{clients: 6, cuts: 20, changes: 400, users: 3, between: [2]time.Duration{0, 300 * time.Millisecond}, seed: 1}.run)
		if report.tally.cuts < 6*20 || report.churn.done.Load() < 400 || name == "production" && len(report.trouble) < 2 {
			t.Error("the story proves little")
		}
	})
}

func TestStreamsOutliveTheJanitor(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, resumeStory{
			clients: 6, cuts: 10, changes: 300, users: 2, between: [2]time.Duration{0, time.Second}, seed: 1, settings: forgetful,
		}.run)
		if report.tally.resets == 0 {
			t.Error("the story proves little")
		}
	})
}

func TestPostgresIsHurt(t *testing.T) {
	t.Parallel()
	onProduction(t, built(t), func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, postgresStory{
			rounds: 1, pause: time.Second, cutting: 2 * time.Second, deadline: time.Second, senders: 6, users: 12, clients: 4, seed: 1,
		}.run)
		if len(report.load.kept) < 50 || report.load.refused.Load() == 0 || report.cuts == 0 {
			t.Error("the story proves little")
		}
	})
}

func TestRedisIsHurt(t *testing.T) {
	t.Parallel()
	onProduction(t, built(t), func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, redisStory{each: 2 * time.Second, senders: 3, users: 2, clients: 4, seed: 1}.run)
		if report.tally.events < 100 {
			t.Error("the story proves little")
		}
	})
}

func TestStopIsOrderly(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, termStory{stops: 4, senders: 6, users: 12, clients: 6, between: [2]time.Duration{200 * time.Millisecond, 700 * time.Millisecond}, seed: 1}.run)
		if len(report.asked.accepted) < 50 || report.tally.closes[1001] == 0 || report.tally.closes[0] == 0 {
			t.Error("the story proves little")
		}
	})
}

func TestScheduledSendsFireOnce(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, scheduleStory{sends: 200, kills: 3, window: 3 * time.Second, users: 12, clients: 4, seed: 1}.run)
		if report.cancelled == 0 || report.tooLate == 0 {
			t.Error("the story proves little")
		}
	})
}

func TestImportsSurviveKills(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, importStory{rows: 12_000, kills: 2}.run)
		if last := report.kills[len(report.kills)-1]; last == 0 || report.kills[0] >= 12_000 {
			t.Error("the story proves little")
		}
	})
}

func TestLargeSendsSurviveKills(t *testing.T) {
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, expansionStory{users: 20_000, kills: 4, seed: 1}.run)
		if last := report.kills[len(report.kills)-1]; last == 0 || report.kills[0] >= 20_000 || report.cancelled == 0 {
			t.Error("the story proves little")
		}
		if !report.midway {
			t.Log("the kill came when all had been told of the edit, as chance has it")
		}
	})
}

func TestBombsAreRefused(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		tell(t, name, binary, bombStory{times: 2, lanes: 2}.run)
	})
}

func TestSubscribersWhoNeverReadCostTheOthersNothing(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, subscribersStory{idle: 200, silent: 10, readers: 10, sends: 100, every: 10 * time.Millisecond}.run)
		if max(report.sockets, report.events) > 200<<10 {
			t.Error("a subscriber who waits takes ten times what is promised")
		}
	})
}

func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		report, err := onSetup(ctx, name, binary, t.TempDir(), diskStory{rounds: 1, each: 500 * time.Millisecond, senders: 4, users: 8, clients: 4, seed: 1}.run)
		if errors.Is(err, errNoMount) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Log(report)
		if err != nil {
			t.Fatal(err)
		}
		if report.load.refused.Load() == 0 {
			t.Error("the story proves little")
		}
	})
}

func TestFilesRunOut(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		tell(t, name, binary, filesStory{files: 128, asks: 10}.run)
	})
}

func TestLogIsNotRead(t *testing.T) {
	t.Parallel()
	onEmbedded(t, built(t), func(t *testing.T, name, binary string) { // the log is the same in production
		tell(t, name, binary, logStory{requests: 1500, senders: 4}.run)
	})
}

func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, restoreStory{each: 500 * time.Millisecond, senders: 4, users: 8, clients: 4, seed: 1}.run)
		if len(report.load.kept) < 20 || report.uncertain < 10 {
			t.Error("the story proves little")
		}
	})
}

func TestOverloadIsRefusedInWords(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, overloadStory{users: 30, each: time.Second, length: 2 * time.Second, seed: 1}.run)
		if len(report.over.done.all) < 50 {
			t.Error("the story proves little")
		}
	})
}

func TestNobodyIsToldOfOthers(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, tenancyStory{requests: 20_000, workers: 8, seed: 1}.run)
		var fruitless []string
		for operation, o := range report.answers {
			if o.data == 0 && !slices.Contains(ends, operation) && !strings.HasSuffix(operation, another) && !strings.Contains(operation, "workflows") {
				fruitless = append(fruitless, operation)
			}
		}
		// What uses something up finds little of it, and by chance nothing.
		if len(fruitless) > len(report.answers)/10 {
			t.Errorf("%q were never answered with data", fruitless)
		}
	})
}

func TestDeliveriesSurviveKills(t *testing.T) {
	t.Parallel()
	onProduction(t, built(t), func(t *testing.T, name, binary string) { // embedded, there are no two workers
		report := tell(t, name, binary, deliveriesStory{
			carry: deliveries, kills: 4, senders: 3, every: 20 * time.Millisecond, users: 12, lease: 3 * time.Second, seed: 1,
			between: [2]time.Duration{300 * time.Millisecond, 700 * time.Millisecond},
		}.run)
		if report.deliveries < 50 {
			t.Error("the story proves little")
		}
		if report.twice == 0 {
			t.Log("no kill met a delivery under way, as chance has it on a slow machine")
		}
	})
}

func TestEventsOfEndpointsSurviveKills(t *testing.T) {
	t.Parallel()
	onProduction(t, built(t), func(t *testing.T, name, binary string) { // embedded, there are no two workers
		report := tell(t, name, binary, deliveriesStory{
			carry: events, kills: 3, senders: 2, every: 20 * time.Millisecond, users: 12, lease: 2 * time.Second, seed: 1,
			between: [2]time.Duration{200 * time.Millisecond, 500 * time.Millisecond},
		}.run)
		if report.deliveries < 20 {
			t.Error("the story proves little")
		}
		if report.twice == 0 {
			t.Log("no kill met a call under way, as chance has it on a slow machine")
		}
	})
}

func TestStaleResultsAreRefused(t *testing.T) {
	t.Parallel()
	onProduction(t, built(t), func(t *testing.T, name, binary string) { // embedded, nobody else has what one had
		report := tell(t, name, binary, freezeStory{rounds: 1, held: 6, lease: 3 * time.Second, senders: 2, users: 8, seed: 1}.run)
		if report.deliveries == 0 || report.events == 0 {
			t.Log("the server had given up all that was under way when it stopped, as chance has it on a slow machine")
		}
	})
}

func TestTroubleOfOneAppDelaysNoOther(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		report := tell(t, name, binary, isolationStory{each: 700 * time.Millisecond, every: 20 * time.Millisecond, lease: 2 * time.Second, late: 20 * time.Second}.run)
		if report.deaths != 3 || report.hanging < 5 {
			t.Error("the story proves little")
		}
	})
}

func TestMigrationsAreRacedAndKilled(t *testing.T) {
	t.Parallel()
	setups(t, func(t *testing.T, name, binary string) {
		tell(t, name, binary, migrateStory{races: 3, kills: 8, row: 3, seed: 1}.run)
	})
}

// tell runs a story for at most a few minutes.
func tell[R any](t *testing.T, name, binary string, story func(context.Context, *lab.Setup) (R, error)) R {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	report, err := onSetup(ctx, name, binary, t.TempDir(), story)
	t.Log(report)
	if err != nil {
		t.Fatal(err)
	}
	return report
}
