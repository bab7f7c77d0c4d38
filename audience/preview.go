package audience

import (
	"cmp"
	"context"
	"slices"
	"time"

	"carillon/model"
)

const (
	// previewTime is how long a caller waits who does not say.
	previewTime = 10 * time.Second
	// previewSample is how many users an estimate is made from, at most, and
	// previewPart how many of them one statement looks at.
	previewSample = 10_000
	previewPart   = 1000
)

// Preview evaluates a rule over everyone and keeps nothing of it. Where that
// takes more than a third of the caller's time, it is estimated from users spread
// over all, as many as can be looked at in another third, and is not exact.
// Where that is none it is a KindLimit error.
func (s *Segments) Preview(ctx context.Context, env model.EnvID, r model.SegmentRule, limit int) (none model.SegmentPreview, err error) {
	var c model.Check
	if err := s.checkRule(ctx, &c, env, r); err != nil {
		return none, err
	}
	if err := c.Err(); err != nil {
		return none, err
	}
	third := previewTime / 3
	if end, limited := ctx.Deadline(); limited {
		third = time.Until(end) / 3
	}
	out, done, err := s.Store.PreviewRule(ctx, env, r, nil, limit, third)
	if err != nil || done {
		out.Exact = done
		return out, err
	}
	return s.estimate(ctx, env, r, limit, time.Now().Add(third))
}

// estimate evaluates a rule over users spread over all, part by part, until all
// had their turn or it is time to answer.
func (s *Segments) estimate(ctx context.Context, env model.EnvID, r model.SegmentRule, limit int, until time.Time) (out model.SegmentPreview, err error) {
	users, of, done, err := s.Store.SampleUsers(ctx, env, previewSample, time.Until(until))
	if err != nil {
		return out, err
	}
	var seen int64
	if done {
		for _, part := range strewn(users, previewPart) {
			found, done, err := s.Store.PreviewRule(ctx, env, r, part, limit, time.Until(until))
			if err != nil {
				return out, err
			}
			if !done {
				break
			}
			seen, out.Count, out.Users = seen+int64(len(part)), out.Count+found.Count, append(out.Users, found.Users...)
		}
	}
	if seen == 0 && of > 0 || !done {
		return out, model.Errorf(model.KindLimit, "the rule takes too long to be evaluated while you wait: save it as a segment, whose size is there once refreshedAt is set")
	}
	slices.SortFunc(out.Users, func(a, b model.UserID) int { return cmp.Compare(b, a) })
	out.Users = out.Users[:min(limit, len(out.Users))]
	if out.Exact = seen == of; !out.Exact {
		out.Count = (out.Count*of + seen/2) / seen
	}
	return out, nil
}

// strewn parts users, each part spread over all of them.
func strewn(users []model.UserID, size int) [][]model.UserID {
	parts := make([][]model.UserID, (len(users)+size-1)/size)
	for i, u := range users {
		parts[i%len(parts)] = append(parts[i%len(parts)], u)
	}
	return parts
}
