package audience_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"carillon/audience"
	"carillon/model"
)

// crowd is a database in which one user in four matches every rule, and a look at
// a user takes some time.
type crowd struct {
	audience.SegmentStore
	size int64
	each time.Duration
}

func (c crowd) Properties(context.Context, model.EnvID) ([]model.Property, error) { return nil, nil }

func (c crowd) work(users int64, within time.Duration) bool {
	took := time.Duration(users) * c.each
	time.Sleep(min(took, within)) //nolint:forbidigo // in a bubble
	return took <= within
}

func (c crowd) PreviewRule(_ context.Context, _ model.EnvID, _ model.SegmentRule, users []model.UserID, limit int, within time.Duration) (out model.SegmentPreview, done bool, err error) {
	if users == nil {
		for id := range model.UserID(c.size) {
			users = append(users, id)
		}
	}
	for _, id := range slices.Backward(users) {
		if id%4 == 1 {
			if out.Count++; len(out.Users) < limit {
				out.Users = append(out.Users, id)
			}
		}
	}
	return out, c.work(int64(len(users)), within), nil
}

func (c crowd) SampleUsers(_ context.Context, _ model.EnvID, most int, within time.Duration) (users []model.UserID, of int64, done bool, err error) {
	const turn = 1 << 32
	for id := range c.size {
		if id*2654435769%turn < turn/((c.size+int64(most)-1)/int64(most)) {
			users = append(users, model.UserID(id))
		}
	}
	return users, c.size, c.work(c.size/1000, within), nil
}

func TestPreviewEstimatesWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		size    int64
		each    time.Duration
		want    int64 // -1: refused
		near    int64 // within so much
		exact   bool
		longest time.Duration
	}{
		"quick":                         {100_000, time.Microsecond, 25_000, 0, true, time.Second},
		"slow":                          {90_001, 50 * time.Microsecond, 22_500, 100, false, 4 * time.Second},
		"slow, and in part":             {900_001, 500 * time.Microsecond, 225_000, 10_000, false, 7 * time.Second},
		"slow, but few":                 {9_000, 500 * time.Microsecond, 2250, 100, false, 7 * time.Second},
		"not one part can be looked at": {900_001, 10 * time.Millisecond, -1, 0, false, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				yes := true
				got, err := (&audience.Segments{Store: crowd{size: tt.size, each: tt.each}}).Preview(ctx, 1, model.SegmentRule{Enabled: &yes}, 3)
				if took := time.Since(began); took > tt.longest {
					t.Errorf("it took %s", took)
				}
				if tt.want < 0 {
					if model.KindOf(err) != model.KindLimit {
						t.Errorf("%+v, %v; want to be told to save the segment", got, err)
					}
					return
				}
				if err != nil || got.Exact != tt.exact || max(got.Count-tt.want, tt.want-got.Count) > tt.near || len(got.Users) != 3 || !slices.IsSortedFunc(got.Users, func(a, b model.UserID) int { return int(b - a) }) {
					t.Errorf("%+v, %v; want %d, exact: %v", got, err, tt.want, tt.exact)
				}
			})
		})
	}
}
