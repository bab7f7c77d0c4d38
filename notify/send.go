package notify

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"carillon/model"
)

// sendTries bounds how often a send starts anew because users that it had
// created were deleted at the same moment.
const sendTries = 3

// Send accepts a request in env and returns once it can no longer be lost:
// every recipient then has their notification, or, for a scheduled send, the
// request waits for its time.
//
// A request that fails validation or names an unknown category, or, under
// REJECT, an unknown user, is refused whole with every problem listed. Under a
// used idempotency key the stored result is returned and nothing is done. When
// the queue is full it is a KindUnavailable error that says when to come back.
//
// A context that ends before the transaction begins withdraws the send. One
// that ends later leaves Send a moment to learn what became of it; if the
// database does not say, it is a KindUnavailable error, and only the same
// idempotency key can tell.
func (s *Service) Send(ctx context.Context, env model.Environment, req model.SendRequest) (model.Outcome[model.SendResult], error) {
	out, err := s.send(ctx, env, req)
	if k := model.KindOf(err); (k == model.KindInvalid || k == model.KindNotFound) && req.Once.Set() && !req.DryRun {
		// What is refused now may have been in order when it came first: a
		// repeated call gets its answer all the same.
		if first, again := s.replay(ctx, env.ID, req.Once); again == nil && first != nil {
			return *first, nil
		}
	}
	return out, err
}

func (s *Service) send(ctx context.Context, env model.Environment, req model.SendRequest) (model.Outcome[model.SendResult], error) {
	var none model.Outcome[model.SendResult]
	req, err := s.applied(ctx, env.ID, req)
	if err != nil {
		return none, err
	}
	if req, err = req.Checked(s.now(), s.Users.CheckIdentify); err != nil {
		return none, err
	}
	topics, err := s.topics(ctx, env.ID, req.To.Topics)
	if err != nil {
		return none, err
	}
	segments, err := s.segments(ctx, env.ID, req.To.Segments)
	if err != nil {
		return none, err
	}
	// After all that may be refused: it may create one.
	category, err := s.category(ctx, env.ID, req.Category, req.CreateCategory && !req.DryRun)
	if err != nil {
		return none, err
	}
	j := newJob(env, req, category, topics)
	j.segments = segments
	if req.To.Everyone {
		if j.until, err = s.everyoneUntil(ctx, env.ID); err != nil {
			return none, err
		}
	}
	if req.DryRun {
		return s.dryRun(ctx, j)
	}
	if len(req.To.Inline) > 0 {
		if first, err := s.admitInline(ctx, j); err != nil || first != nil {
			return deref(first), err
		}
	}
	for range sendTries {
		if err := s.personalize(ctx, j); err != nil {
			return none, err
		}
		if err := s.submit(ctx, j); err != nil {
			return none, err
		}
		if len(j.missing) == 0 && !j.strangers {
			break
		}
		if len(j.missing) == 0 {
			continue
		}
		if err := s.identify(ctx, j, j.missing); err != nil {
			return none, err
		}
	}
	if len(j.missing) > 0 || j.strangers {
		return none, model.Errorf(model.KindConflict, "recipients are being made or deleted while they are sent to")
	}
	if j.scheduled() && !j.replayed {
		s.expect(j.req.SendAt)
	}
	return model.Outcome[model.SendResult]{Value: j.pending.Result, Replayed: j.replayed}, nil
}

// applied has the template that a request names say what the request says.
func (s *Service) applied(ctx context.Context, env model.EnvID, req model.SendRequest) (model.SendRequest, error) {
	req.Options.Template, req.Content.Personal = nil, 0
	if req.Template == "" {
		return req, nil
	}
	if s.Templates == nil {
		return req, model.NotFound("names no template", "template")
	}
	return s.Templates.Apply(ctx, env, req)
}

// everyoneUntil is when the last user was made who is there now. Clocks of
// processes differ: whoever is there is part of everyone, also when it was made
// by a clock that is ahead of this one.
func (s *Service) everyoneUntil(ctx context.Context, env model.EnvID) (*time.Time, error) {
	newest, err := s.Store.NewestUserAt(ctx, env)
	if now := s.now(); newest.Before(now) {
		newest = now
	}
	return &newest, err
}

// category finds a category by identifier, or creates it; nil for none.
func (s *Service) category(ctx context.Context, env model.EnvID, identifier string, create bool) (*model.Category, error) {
	if identifier == "" {
		return nil, nil
	}
	find := s.Catalog.Find
	if create {
		find = s.Catalog.Ensure
	}
	c, err := find(ctx, env, identifier)
	switch {
	case model.KindOf(err) == model.KindNotFound:
		return nil, model.NotFound("names no category", "category")
	case err != nil:
		return nil, fmt.Errorf("reading category: %w", err)
	}
	return &c, nil
}

// topics finds topics by identifier, each once; nil for none.
func (s *Service) topics(ctx context.Context, env model.EnvID, identifiers []string) ([]model.TopicID, error) {
	if len(identifiers) == 0 {
		return nil, nil
	}
	found, err := s.Store.TopicIDs(ctx, env, identifiers)
	if err != nil {
		return nil, err
	}
	var (
		c   model.Check
		ids []model.TopicID
	)
	for i, name := range identifiers {
		if id, ok := found[name]; !ok {
			c.Add(model.ProblemNotFound, "names no topic", "to", "topics", strconv.Itoa(i))
		} else if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, c.Err()
}

// segments finds segments by identifier, each once; nil for none.
func (s *Service) segments(ctx context.Context, env model.EnvID, identifiers []string) ([]model.SegmentID, error) {
	if len(identifiers) == 0 {
		return nil, nil
	}
	found := map[string]model.SegmentID{}
	if s.Segments != nil {
		var err error
		if found, err = s.Segments.IDs(ctx, env, identifiers); err != nil {
			return nil, err
		}
	}
	var (
		c   model.Check
		ids []model.SegmentID
	)
	for i, name := range identifiers {
		if id, ok := found[name]; !ok {
			c.Add(model.ProblemNotFound, "names no segment", "to", "segments", strconv.Itoa(i))
		} else if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, c.Err()
}

// replay returns the stored outcome under an idempotency key; nil: none.
func (s *Service) replay(ctx context.Context, env model.EnvID, once model.Once) (*model.Outcome[model.SendResult], error) {
	found, err := s.Store.SendReplays(ctx, []model.ScopedOnce{{Env: env, Once: once}})
	if err != nil {
		return nil, err
	}
	if r := found[0]; r.Result != nil {
		return &model.Outcome[model.SendResult]{Value: *r.Result, Replayed: true}, nil
	}
	return nil, found[0].Err
}

// admitInline creates and updates the users that come with the send, unless it
// will be refused or was accepted before; then it returns that outcome.
func (s *Service) admitInline(ctx context.Context, j *job) (*model.Outcome[model.SendResult], error) {
	if j.req.Once.Set() {
		if first, err := s.replay(ctx, j.env.ID, j.req.Once); err != nil || first != nil {
			return first, err
		}
	}
	if j.req.OnUnknown == model.UnknownReject {
		found, err := s.Store.Recipients(ctx, model.RecipientQuery{Keys: j.keys()})
		if err != nil {
			return nil, err
		}
		if err := j.reject(found); err != nil {
			return nil, err
		}
	}
	return nil, s.identify(ctx, j, nil)
}

// identify creates the missing users of a send; with none missing, it creates
// and updates those that came with it.
func (s *Service) identify(ctx context.Context, j *job, missing []string) error {
	var (
		inputs []model.IdentifyInput
		paths  [][]string
	)
	for i, in := range j.req.To.Inline {
		if missing == nil || slices.Contains(missing, in.Identifier) {
			inputs, paths = append(inputs, in), append(paths, []string{"to", "inlineUsers", strconv.Itoa(i)})
		}
	}
	for _, name := range missing {
		if _, inline := j.inline[name]; !inline {
			inputs, paths = append(inputs, model.IdentifyInput{Identifier: name}), append(paths, []string{"to", "users", strconv.Itoa(slices.Index(j.req.To.Users, name))})
		}
	}
	done, err := s.Users.IdentifyMany(ctx, j.env.ID, model.Once{}, inputs)
	if err != nil {
		return fmt.Errorf("identifying recipients: %w", err)
	}
	var c model.Check
	for i, r := range done.Value {
		for _, p := range r.Problems {
			c.Add(p.Code, p.Message, append(paths[i], p.Path...)...)
		}
	}
	return c.Err()
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
