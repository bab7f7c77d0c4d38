package engage

import (
	"context"

	"carillon/model"
)

// Segments is what the dialect asks of segments; *audience.Segments has it.
type Segments interface {
	OfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.SegmentMembership, error)
}

// segmentRef is a segment that a user is in. The vendor knows suppression in a
// segment only for those who are in it.
type segmentRef struct {
	ID         string `json:"id"`
	Suppressed bool   `json:"suppressed"`
}

// segmentsOf lists the segments that users are in.
func (a *API) segmentsOf(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]segmentRef, error) {
	if a.Segments == nil {
		return nil, nil //nolint:nilnil // nobody is in one
	}
	found, err := a.Segments.OfUsers(ctx, env, users)
	out := make(map[model.UserID][]segmentRef, len(found))
	for user, all := range found {
		for _, m := range all {
			if m.Member {
				out[user] = append(out[user], segmentRef{objectID(int64(m.Segment)), m.Suppressed})
			}
		}
	}
	return out, err
}
