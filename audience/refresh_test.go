package audience_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"carillon/audience"
	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

var errBroken = errors.New("broken")

// failing is a store that cannot evaluate what one environment has.
type failing struct {
	*store.Store
	env model.EnvID
}

func (f failing) RefreshSegment(ctx context.Context, env model.EnvID, id model.SegmentID, next, sooner time.Duration, wait bool) (bool, error) {
	if env == f.env {
		return false, errBroken
	}
	return f.Store.RefreshSegment(ctx, env, id, next, sooner, wait)
}

func (f failing) FollowTime(ctx context.Context, env model.EnvID, id model.SegmentID) error {
	if env == f.env {
		return errBroken
	}
	return f.Store.FollowTime(ctx, env, id)
}

func (f failing) RefreshChanged(ctx context.Context, env model.EnvID, limit int) (int, error) {
	if env == f.env {
		return 0, errBroken
	}
	return f.Store.RefreshChanged(ctx, env, limit)
}

// TestOneThatFailsHoldsUpNoOther has the segments of one environment fail, which
// are always due first.
func TestOneThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		now := time.Date(2026, 1, 20, 12, 0, 0, 0, time.UTC)
		s := storetest.Open(t, store.Config{URL: url, Now: func() time.Time { return now }})
		ctx := t.Context()
		broken, env := storetest.Env(t, s, "a"), storetest.Env(t, s, "b")
		service := &audience.Segments{Store: failing{s, broken}}
		var m model.Segment
		for _, e := range []model.EnvID{broken, env} {
			out, err := service.Create(ctx, model.Once{}, model.Segment{EnvID: e, Identifier: "new", Name: "New", Rule: model.SegmentRule{Created: &model.TimeCondition{WithinDays: new(int32(1))}}})
			if err != nil {
				t.Fatal(err)
			}
			m = out.Value
			storetest.User(t, s, e, "ada")
		}
		size := func(want int64) {
			t.Helper()
			now = now.Add(2 * time.Second)
			for range 2 {
				if err := service.Refresh(ctx); !errors.Is(err, errBroken) {
					t.Fatalf("refreshing says %v", err)
				}
			}
			if m, err := s.SegmentByID(ctx, env, m.ID); err != nil || m.Size != want {
				t.Errorf("the segment has %d, %v, want %d", m.Size, err, want)
			}
		}
		size(1)
		storetest.User(t, s, env, "eve")
		size(2)
		now = now.Add(48 * time.Hour)
		size(0)
	})
}

// flood is a store to which changes come as fast as they are evaluated.
type flood struct {
	audience.SegmentStore
	first, last, calls int64
}

func (f *flood) SegmentChanges(context.Context, model.EnvID) (first, last int64, err error) {
	return f.first, f.last, nil
}

func (f *flood) RefreshChanged(_ context.Context, _ model.EnvID, limit int) (int, error) {
	if f.calls++; f.calls > 100 {
		return 0, errBroken
	}
	f.first += int64(limit)
	f.last += int64(limit)
	return limit, nil
}

func TestSettlingEnds(t *testing.T) {
	t.Parallel()
	f := &flood{first: 1, last: 2500}
	service := &audience.Segments{Store: f}
	if err := service.Settle(t.Context(), 1, nil); err != nil || f.calls != 3 {
		t.Errorf("settled 2,500 changes in %d steps of 1,000, %v", f.calls, err)
	}
}
