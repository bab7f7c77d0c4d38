package notify

import (
	"context"
	"fmt"

	"carillon/model"
)

// dryRun plans a send and changes nothing. It tells of everyone the send would
// go to, so one to more than model.MaxRecipients is refused.
func (s *Service) dryRun(ctx context.Context, j *job) (none model.Outcome[model.SendResult], err error) {
	if j.hasOthers() {
		if err := s.findOthers(ctx, j); err != nil {
			return none, err
		}
	}
	if err := s.prepare(ctx, []*job{j}); err != nil {
		return none, err
	}
	return model.Outcome[model.SendResult]{Value: j.pending.Result}, j.err
}

// findOthers reads those whom the job's send reaches without naming them.
func (s *Service) findOthers(ctx context.Context, j *job) (err error) {
	if err := s.settle(ctx, j.env.ID, j.segments); err != nil {
		return err
	}
	q := model.AudienceQuery{
		Env: j.env.ID, Audience: model.Audience{Topics: j.topics, Segments: j.segments, Everyone: j.req.To.Everyone},
		Identifiers: true, Addresses: j.plan.needsAddresses(), Limit: model.MaxRecipients,
	}
	if j.until != nil {
		q.MadeUntil = *j.until
	}
	if j.category != nil {
		q.Categories = []model.CategoryID{j.category.ID}
	}
	found, err := s.Store.Audience(ctx, q)
	if err != nil {
		return err
	}
	if !found.More {
		j.others = found.Recipients
		return nil
	}
	n, err := s.Store.AudienceSize(ctx, q)
	if err != nil {
		return err
	}
	return tooManyToTell(max(n, model.MaxRecipients+1))
}

// settle has segments be as users are now.
func (s *Service) settle(ctx context.Context, env model.EnvID, ids []model.SegmentID) error {
	if len(ids) == 0 || s.Segments == nil {
		return nil
	}
	return s.Segments.Settle(ctx, env, ids)
}

// join adds to the known those of the others who are not among them.
func join(known, others []model.Recipient) ([]model.Recipient, error) {
	if len(others) == 0 {
		return known, nil
	}
	named := make(map[model.UserID]bool, len(known))
	for _, r := range known {
		named[r.ID] = true
	}
	for _, r := range others {
		if !named[r.ID] {
			known = append(known, r)
		}
	}
	if len(known) > model.MaxRecipients {
		return known, tooManyToTell(int64(len(known)))
	}
	return known, nil
}

func tooManyToTell(n int64) error {
	return &model.Error{Kind: model.KindLimit, Message: "too many recipients for a dry run", Problems: []model.Problem{{
		Code: model.ProblemLimit, Path: []string{"dryRun"},
		Message: fmt.Sprintf("tells of at most %d recipients, and this send has %d; try it with fewer", model.MaxRecipients, n),
	}}}
}
