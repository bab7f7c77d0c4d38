package store_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"carillon/store"
	"carillon/store/storetest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()

	t.Run("UpDownUp", func(t *testing.T) {
		t.Parallel()
		storetest.Each(t, func(t *testing.T, s *store.Store) {
			epoch := s.Epoch()
			if err := s.MigrateDown(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			if err := s.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s.Epoch() == epoch {
				t.Error("a database made anew kept its epoch")
			}
		})
	})

	t.Run("EpochStays", func(t *testing.T) {
		t.Parallel()
		storetest.EachURL(t, func(t *testing.T, url string) {
			first := storetest.Open(t, store.Config{URL: url}).Epoch()
			if again := storetest.Open(t, store.Config{URL: url}).Epoch(); again != first {
				t.Errorf("epoch is %d after opening again, want %d", again, first)
			}
		})
	})

	t.Run("RacingServersEndWell", func(t *testing.T) {
		t.Parallel()
		storetest.EachURL(t, func(t *testing.T, url string) {
			var wg sync.WaitGroup
			for range 6 {
				wg.Go(func() {
					s, err := store.Open(t.Context(), store.Config{URL: url})
					if err != nil {
						t.Error(err)
						return
					}
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	})

	t.Run("NewerDatabaseIsRefused", func(t *testing.T) {
		t.Parallel()
		storetest.EachURL(t, func(t *testing.T, url string) {
			s := storetest.Open(t, store.Config{URL: url})
			if err := store.NoteMigration(t.Context(), s, 9999); err != nil {
				t.Fatal(err)
			}
			const want = "migrating: the database has migration 9999, which this program does not know: it was migrated by a newer version; start that one"
			if _, err := store.Open(t.Context(), store.Config{URL: url}); err == nil || err.Error() != want {
				t.Errorf("a database with a migration from the future: %v, want %s", err, want)
			}
		})
	})
}

// TestMigrationKilledInTheMiddle kills a process that migrates up and down for
// ever, at moments all over its way, and expects every next start to work.
func TestMigrationKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	if url := os.Getenv("STORE_TEST_MIGRATE_FOREVER"); url != "" {
		migrateForever(t, url)
		return
	}
	storetest.EachURL(t, func(t *testing.T, url string) {
		for i := range 10 {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestMigrationKilledInTheMiddle$")
			cmd.Env = append(os.Environ(), "STORE_TEST_MIGRATE_FOREVER="+url)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			kill := time.AfterFunc(time.Duration(20+17*i)*time.Millisecond, func() { _ = cmd.Process.Kill() })
			_ = cmd.Wait()
			kill.Stop()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			s, err := store.Open(ctx, store.Config{URL: url})
			cancel()
			if err != nil {
				t.Fatalf("after kill %d: %v", i, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

func migrateForever(t *testing.T, url string) {
	s, err := store.OpenUnmigrated(t.Context(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	for {
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.MigrateDown(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
}
