package shed

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// machine is something that does work for several at once, each the slower the
// more there are beyond its cores.
type machine struct {
	mu    sync.Mutex
	busy  int
	cores int
	takes time.Duration
}

func (m *machine) work() {
	m.mu.Lock()
	m.busy++
	slow := max(1, float64(m.busy)/float64(m.cores))
	takes := time.Duration(float64(m.takes) * slow)
	m.mu.Unlock()
	time.Sleep(takes) //nolint:forbidigo // in a synctest bubble
	m.mu.Lock()
	m.busy--
	m.mu.Unlock()
}

// flood asks at a rate for a while and returns how many were done, and the
// longest that one took that was.
func flood(t *testing.T, g *Gate, m *machine, party int64, perSecond int, length time.Duration) (done int, longest time.Duration) {
	t.Helper()
	var (
		mu  sync.Mutex
		wg  sync.WaitGroup
		end = time.Now().Add(length)
	)
	random := rand.New(rand.NewPCG(1, 1))
	for time.Now().Before(end) {
		wg.Go(func() {
			began := time.Now()
			leave, err := g.Enter(context.Background(), Reading, party)
			if err != nil {
				return
			}
			m.work()
			leave()
			mu.Lock()
			defer mu.Unlock()
			done++
			longest = max(longest, time.Since(began))
		})
		time.Sleep(time.Duration(random.ExpFloat64() * float64(time.Second) / float64(perSecond))) //nolint:forbidigo // in a synctest bubble
	}
	wg.Wait()
	return done, longest
}

func TestPlacesAreAsManyAsWorkWell(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, m := New(64, 250*time.Millisecond), &machine{cores: 4, takes: 8 * time.Millisecond}
		flood(t, g, m, 1, 150, 3*time.Second) // learns what work takes
		done, longest := flood(t, g, m, 1, 1500, 4*time.Second)
		if done < 1600 || longest > 200*time.Millisecond {
			t.Errorf("of 2000 that can be done %d were, the slowest in %s", done, longest)
		}
		if n := g.Stats().Places; n < 4 || n > 16 {
			t.Errorf("there are %d places for four cores, want about 8", n)
		}
		m.takes = 100 * time.Millisecond // a database that is far away from now on, but not full
		m.cores = 40
		flood(t, g, m, 1, 1000, 15*time.Second)
		if n := g.Stats().Places; n < 30 {
			t.Errorf("there are %d places for 40 at once, want them used", n)
		}
	})
}

func TestOnePartysFloodIsNotAnothers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, m := New(64, 250*time.Millisecond), &machine{cores: 4, takes: 8 * time.Millisecond}
		var wg sync.WaitGroup
		wg.Go(func() { flood(t, g, m, 1, 1500, 4*time.Second) })
		done, longest := flood(t, g, m, 2, 50, 3*time.Second)
		wg.Wait()
		if refused := g.Stats().Refused[Reading]; done < 120 || longest > 100*time.Millisecond || refused == 0 {
			t.Errorf("beside a flood %d of 150 were done, the slowest in %s, and of the flood %d refused", done, longest, refused)
		}
	})
}

func TestClientsThatWaitForEachOtherAreNotRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, m := New(64, 250*time.Millisecond), &machine{cores: 4, takes: 8 * time.Millisecond}
		var wg sync.WaitGroup
		for range 48 {
			wg.Go(func() {
				for range 50 {
					leave, err := g.Enter(context.Background(), Reading, 1)
					if err != nil {
						t.Error(err)
						return
					}
					m.work()
					leave()
				}
			})
		}
		wg.Wait()
	})
}
