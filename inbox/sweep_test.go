package inbox_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carillon/inbox"
	"carillon/live"
	"carillon/model"
)

// expiringStore has items that expire; each call takes a batch of them.
type expiringStore struct {
	inbox.Store
	mu     sync.Mutex
	due    int
	edited int // batches of inboxes that have not been told
	fail   error
}

func (f *expiringStore) ExpireNotifications(_ context.Context, limit int) (int, []model.Hint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return 0, nil, f.fail
	}
	n := min(f.due, limit)
	f.due -= n
	return n, []model.Hint{{Key: model.InboxKey(theEnv, theUser), Seq: 1}}, nil
}

// RecallingSend finds a send while something fails, whose recall does.
func (f *expiringStore) RecallingSend(_ context.Context, except []model.SendID) (model.EnvID, model.SendID, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return theEnv, 9, f.fail != nil && len(except) == 0, nil
}

func (f *expiringStore) RecallNext(context.Context, model.EnvID, model.SendID, int) (bool, []model.Hint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return false, nil, f.fail
}

// EditedSend finds a send while something fails, of which nobody can be told, before
// the one that was edited.
func (f *expiringStore) EditedSend(_ context.Context, except []model.SendID) (model.EnvID, model.SendID, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil && len(except) == 0 {
		return theEnv, 8, true, nil
	}
	return theEnv, 1, f.edited > 0, nil
}

func (f *expiringStore) SpreadEdit(_ context.Context, _ model.EnvID, id model.SendID, _ int, _ model.Speaker) (bool, []model.Hint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if id == 8 {
		return false, nil, f.fail
	}
	f.edited--
	return f.edited > 0, []model.Hint{{Key: model.InboxKey(theEnv, theUser), Seq: 2}}, nil
}

func (f *expiringStore) set(due int, fail error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.due, f.fail = due, fail
}

func (f *expiringStore) edit(batches int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.edited = batches
}

func (f *expiringStore) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.due + f.edited
}

func TestSweeperDrainsEverySecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		store := &expiringStore{edited: 3} // left by a process that died
		s := &inbox.Service{Store: store, Live: live.NewHub(live.Config{}), Logger: slog.New(slog.NewTextHandler(&log, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.RunSweeper(ctx) })
		second := func() {
			<-time.After(time.Second)
			synctest.Wait()
		}

		store.set(1700, nil)
		second()
		if n := store.left(); n != 0 {
			t.Errorf("%d items are left after a second, want none", n)
		}
		store.set(3, errors.New("away"))
		store.edit(3)
		for range 5 {
			second()
		}
		if n := store.left(); n != 3 {
			t.Errorf("%d are left while items cannot expire, want those 3: edits go on", n)
		}
		store.set(3, nil)
		second()
		if n := store.left(); n != 0 {
			t.Errorf("%d items are left when the database is back, want none", n)
		}
		cancel()
		wg.Wait()
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("an outage of five seconds took %d lines, want its begin and its end:\n%s", n, log.String())
		}
	})
}
