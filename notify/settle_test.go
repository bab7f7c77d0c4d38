package notify_test

import (
	"context"
	"testing"
	"time"

	"carillon/model"
)

// slow is segments that take as long as they are given.
type slow struct{ given time.Duration }

func (s *slow) IDs(context.Context, model.EnvID, []string) (map[string]model.SegmentID, error) {
	return map[string]model.SegmentID{"gold": 1}, nil
}

func (s *slow) Settle(ctx context.Context, _ model.EnvID, _ []model.SegmentID) error {
	deadline, _ := ctx.Deadline()
	s.given = time.Until(deadline)
	return nil
}

// TestSegmentsHaveTimeToSettle wants the evaluation of a rule over everyone,
// which may take minutes, not to be part of a chunk.
func TestSegmentsHaveTimeToSettle(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		s := &slow{}
		f.Segments = s
		req := hello()
		req.To = model.SendTarget{Segments: []string{"gold"}}
		id := f.mustSend(t, req).Send.ID
		f.expand(t)
		f.served(t, id, model.SendProgress{})
		if s.given < 5*time.Minute {
			t.Errorf("segments have %s to settle", s.given)
		}
	})
}
