package audience

import (
	"context"
	"log/slog"
	"time"

	"carillon/model"
)

// SegmentStore is what segments need from the database; *store.Store has it.
type SegmentStore interface {
	Segment(ctx context.Context, env model.EnvID, identifier string) (model.Segment, error)
	SegmentByID(ctx context.Context, env model.EnvID, id model.SegmentID) (model.Segment, error)
	SegmentsByID(ctx context.Context, env model.EnvID, ids []model.SegmentID) (map[model.SegmentID]model.Segment, error)
	Segments(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Segment], error)
	SegmentIDs(ctx context.Context, env model.EnvID, identifiers []string) (map[string]model.SegmentID, error)
	CreateSegment(ctx context.Context, o model.Once, m model.Segment) (model.Outcome[model.Segment], error)
	UpdateSegment(ctx context.Context, env model.EnvID, o model.Once, identifier string, change model.SegmentChange) (model.Outcome[model.Segment], error)
	DeleteSegment(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.SegmentID], error)
	SegmentMembers(ctx context.Context, env model.EnvID, id model.SegmentID, page model.PageRequest) (model.Page[model.UserID], error)
	SegmentsOfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.SegmentMembership, error)
	SuppressInSegment(ctx context.Context, env model.EnvID, o model.Once, identifier, user string, suppressed bool) (model.Outcome[model.UserID], error)
	PreviewRule(ctx context.Context, env model.EnvID, r model.SegmentRule, users []model.UserID, limit int, within time.Duration) (out model.SegmentPreview, done bool, err error)
	SampleUsers(ctx context.Context, env model.EnvID, most int, within time.Duration) (users []model.UserID, of int64, done bool, err error)
	Properties(ctx context.Context, env model.EnvID) ([]model.Property, error)

	DueSegment(ctx context.Context) (env model.EnvID, id model.SegmentID, found bool, err error)
	PostponeSegment(ctx context.Context, env model.EnvID, id model.SegmentID, by time.Duration) error
	RefreshSegment(ctx context.Context, env model.EnvID, id model.SegmentID, next, sooner time.Duration, wait bool) (done bool, err error)
	UnfollowedSegment(ctx context.Context, longer time.Duration, except []model.SegmentID) (env model.EnvID, id model.SegmentID, found bool, err error)
	FollowTime(ctx context.Context, env model.EnvID, id model.SegmentID) error
	SegmentChanges(ctx context.Context, env model.EnvID) (first, last int64, err error)
	ChangedEnvironment(ctx context.Context, after model.EnvID) (env model.EnvID, found bool, err error)
	RefreshChanged(ctx context.Context, env model.EnvID, limit int) (n int, err error)
}

// Segments keeps segments: rules, and who matches them. What it refuses is a
// KindInvalid error with every problem; a segment that is not there is
// KindNotFound at "segment".
type Segments struct {
	Store SegmentStore
	Log   *slog.Logger // nil: slog's default
}

// unknownSegment is the error for a segment that cannot be there.
func unknownSegment(identifier string) error {
	if model.CheckIdentifier(identifier) == "" {
		return nil
	}
	return model.NotFound("names no segment", "segment")
}

// checkRule lists what is wrong with a rule at the path "rule".
func (s *Segments) checkRule(ctx context.Context, c *model.Check, env model.EnvID, r model.SegmentRule) error {
	all, err := s.Store.Properties(ctx, env)
	if err != nil {
		return err
	}
	types := make(map[string]model.PropertyType, len(all))
	for _, p := range all {
		types[p.Name] = p.Type
	}
	for _, name := range model.WellKnownAttributes() {
		types[name] = model.PropertyText
	}
	model.CheckRule(c.At("rule"), r, types)
	return nil
}

func checkSegment(c *model.Check, name, description *string) {
	if name != nil {
		checkName(c, *name)
	}
	if description != nil {
		if wrong := model.CheckText(*description, maxDescription); wrong != "" {
			c.Add(model.ProblemInvalid, wrong, "description")
		}
	}
}

// Create makes a segment; an identifier that is taken is KindConflict. Its
// members are found out soon after.
func (s *Segments) Create(ctx context.Context, o model.Once, m model.Segment) (none model.Outcome[model.Segment], err error) {
	var c model.Check
	if wrong := model.CheckIdentifier(m.Identifier); wrong != "" {
		c.Add(model.ProblemInvalid, wrong, "identifier")
	}
	checkSegment(&c, &m.Name, &m.Description)
	if err := s.checkRule(ctx, &c, m.EnvID, m.Rule); err != nil {
		return none, err
	}
	if err := c.Err(); err != nil {
		return none, err
	}
	return s.Store.CreateSegment(ctx, o, m)
}

// Update changes a segment.
func (s *Segments) Update(ctx context.Context, env model.EnvID, o model.Once, identifier string, change model.SegmentChange) (none model.Outcome[model.Segment], err error) {
	if err := unknownSegment(identifier); err != nil {
		return none, err
	}
	var c model.Check
	checkSegment(&c, change.Name, change.Description)
	if change.Rule != nil {
		if err := s.checkRule(ctx, &c, env, *change.Rule); err != nil {
			return none, err
		}
	}
	if err := c.Err(); err != nil {
		return none, err
	}
	return s.Store.UpdateSegment(ctx, env, o, identifier, change)
}

// Delete deletes a segment with its suppressions.
func (s *Segments) Delete(ctx context.Context, env model.EnvID, o model.Once, identifier string) (model.Outcome[model.SegmentID], error) {
	if err := unknownSegment(identifier); err != nil {
		return model.Outcome[model.SegmentID]{}, err
	}
	return s.Store.DeleteSegment(ctx, env, o, identifier)
}

// Suppress has sends to a segment leave a user out, or not any more. A user who
// is not there is KindNotFound at "user".
func (s *Segments) Suppress(ctx context.Context, env model.EnvID, o model.Once, identifier, user string, suppressed bool) (none model.Outcome[model.UserID], err error) {
	if model.CheckIdentifier(user) != "" {
		return none, model.NotFound("names no user", "user")
	}
	if err := unknownSegment(identifier); err != nil {
		return none, err
	}
	return s.Store.SuppressInSegment(ctx, env, o, identifier, user, suppressed)
}

// Find reads a segment by identifier.
func (s *Segments) Find(ctx context.Context, env model.EnvID, identifier string) (model.Segment, error) {
	if err := unknownSegment(identifier); err != nil {
		return model.Segment{}, err
	}
	return s.Store.Segment(ctx, env, identifier)
}

// ByID reads a segment by id.
func (s *Segments) ByID(ctx context.Context, env model.EnvID, id model.SegmentID) (model.Segment, error) {
	return s.Store.SegmentByID(ctx, env, id)
}

// ByIDs reads segments by id; those that are not there are absent.
func (s *Segments) ByIDs(ctx context.Context, env model.EnvID, ids []model.SegmentID) (map[model.SegmentID]model.Segment, error) {
	return s.Store.SegmentsByID(ctx, env, ids)
}

// IDs finds segments by identifier; those that do not exist are absent.
func (s *Segments) IDs(ctx context.Context, env model.EnvID, identifiers []string) (map[string]model.SegmentID, error) {
	return s.Store.SegmentIDs(ctx, env, identifiers)
}

// List lists the segments of an environment, newest first.
func (s *Segments) List(ctx context.Context, env model.EnvID, page model.PageRequest) (model.Page[model.Segment], error) {
	return s.Store.Segments(ctx, env, page)
}

// Members lists the users in a segment, newest user first.
func (s *Segments) Members(ctx context.Context, env model.EnvID, id model.SegmentID, page model.PageRequest) (model.Page[model.UserID], error) {
	return s.Store.SegmentMembers(ctx, env, id, page)
}

// OfUsers lists the segments that users are in or suppressed for, by id.
func (s *Segments) OfUsers(ctx context.Context, env model.EnvID, users []model.UserID) (map[model.UserID][]model.SegmentMembership, error) {
	return s.Store.SegmentsOfUsers(ctx, env, users)
}
