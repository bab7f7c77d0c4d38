package inbox

import (
	"context"
	"log/slog"
	"time"

	"carillon/live"
	"carillon/model"
)

// Store is what inboxes need from the database; *store.Store has it.
type Store interface {
	// Epoch tells the database from an older copy of itself.
	Epoch() uint64

	Inbox(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, page model.PageRequest) (model.Inbox, error)
	NewestInbox(ctx context.Context, env model.EnvID, user model.UserID, first int, known int64) (page model.Inbox, same bool, err error)
	InboxCounters(ctx context.Context, env model.EnvID, user model.UserID) (model.Counters, int64, error)
	Changes(ctx context.Context, env model.EnvID, user model.UserID, after int64) (model.Changes, error)

	// The hint of a change is to be published; it is nil when there was none.
	MarkNotifications(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, ids []model.NotificationID, as model.MarkState) (model.Outcome[model.MarkResult], *model.Hint, error)
	MarkAll(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, as model.MarkState, upTo *int64, f *model.InboxFilter) (model.Outcome[model.MarkResult], *model.Hint, error)
	DeleteNotifications(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, ids []model.NotificationID) (model.Outcome[model.MarkResult], *model.Hint, error)
	InboxPage(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, at model.PageNumber) (model.NumberedInbox, error)
	MarkPage(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, f model.InboxFilter, at model.PageNumber, as model.MarkState) (model.Outcome[model.MarkResult], *model.Hint, error)
	DeleteAll(ctx context.Context, env model.EnvID, o model.Once, user model.UserID) (model.Outcome[model.MarkResult], *model.Hint, error)
	SetNotificationState(ctx context.Context, env model.EnvID, o model.Once, user model.UserID, id model.NotificationID, change model.StateChange) (model.Outcome[model.MarkResult], *model.Hint, error)
	Interactions(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Interaction, error)
	NotificationOwner(ctx context.Context, env model.EnvID, id model.NotificationID) (model.UserID, error)
	ExpireNotifications(ctx context.Context, limit int) (int, []model.Hint, error)
	RecallSend(ctx context.Context, env model.EnvID, o model.Once, id model.SendID) (model.Outcome[model.Send], error)
	RecallingSend(ctx context.Context, except []model.SendID) (env model.EnvID, id model.SendID, found bool, err error)
	RecallNext(ctx context.Context, env model.EnvID, id model.SendID, limit int) (more bool, hints []model.Hint, err error)
	RecallNotifications(ctx context.Context, env model.EnvID, o model.Once, ids []model.NotificationID) (model.Outcome[model.Recalled], []model.Hint, error)

	// What an edit needs.
	Sends(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.Send, error)
	SendOptions(ctx context.Context, env model.EnvID, ids []model.SendID) (map[model.SendID]model.SendOptions, error)
	EditSend(ctx context.Context, env model.EnvID, o model.Once, id model.SendID, change model.ContentChange) (model.Outcome[model.Send], error)
	EditedSend(ctx context.Context, except []model.SendID) (env model.EnvID, id model.SendID, found bool, err error)
	SpreadEdit(ctx context.Context, env model.EnvID, id model.SendID, limit int, speak model.Speaker) (more bool, hints []model.Hint, err error)
	UsersByID(ctx context.Context, env model.EnvID, ids []model.UserID) ([]model.User, error)

	// What the janitor does; see the store's own words.
	Environments(ctx context.Context) ([]model.Environment, error)
	RetireNotifications(ctx context.Context, env model.EnvID, after model.NotificationID, before time.Time, limit int) (next model.NotificationID, n int, hints []model.Hint, err error)
	CapInboxes(ctx context.Context, env model.EnvID, after model.UserID, most, limit int) (next model.UserID, n int, hints []model.Hint, err error)
	ForgetSends(ctx context.Context, env model.EnvID, before time.Time, limit int) (int, error)
	TrimTombstones(ctx context.Context, before time.Time, limit int) (int, error)
	TrimMarks(ctx context.Context, before time.Time, after model.InboxCursor, limit int) (next model.InboxCursor, n int, err error)

	Notifications(ctx context.Context, env model.EnvID, ids []model.NotificationID) ([]model.Notification, error)
	NotificationLog(ctx context.Context, env model.EnvID, f model.NotificationFilter, page model.PageRequest) (model.Page[model.Notification], error)
}

// Live is where changes are told and heard of; *live.Hub is one.
type Live interface {
	Publish(ctx context.Context, hints ...model.Hint)
	Watch(key model.LiveKey, w live.Watcher) (cancel func())
}

// Templates says what a send's template makes of other data, and what that is to
// each user; *catalog.Templates does.
type Templates interface {
	Again(ctx context.Context, env model.EnvID, ref model.TemplateRef, channels []model.Channel, data []byte) (model.Content, error)
	Personal(ctx context.Context, env model.EnvID, q model.PersonalTexts) ([]model.TemplateText, error)
}

// Service serves inboxes. All its methods take the environment, and a user or
// notification of another one does not exist for them.
type Service struct {
	Store Store
	Live  Live
	// Templates is asked when the data of a send that has one is edited.
	Templates Templates
	Logger    *slog.Logger     // nil: slog.Default()
	Now       func() time.Time // nil: time.Now; what is old, is by this clock
}

func (s *Service) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Service) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.Default()
	}
	return s.Logger
}

// List reads a page of a user's inbox, newest first, with the counters and the
// seq as of the same moment. Reading changes nothing.
func (s *Service) List(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, page model.PageRequest) (model.Inbox, error) {
	if err := checkPage(page); err != nil {
		return model.Inbox{}, err
	}
	return s.Store.Inbox(ctx, env, user, f, page)
}

// Newest is List of the first page of what is not archived, for whoever may hold
// it already: when the inbox is at the seq known, same is true and the page is
// empty. Without anything in hand, known is model.NoSeq.
func (s *Service) Newest(ctx context.Context, env model.EnvID, user model.UserID, first int, known int64) (page model.Inbox, same bool, err error) {
	if err := checkPage(model.PageRequest{Limit: first}); err != nil {
		return model.Inbox{}, false, err
	}
	return s.Store.NewestInbox(ctx, env, user, first, known)
}

// Counters reads the numbers of a user's inbox and the seq they belong to; it
// is one look at one row.
func (s *Service) Counters(ctx context.Context, env model.EnvID, user model.UserID) (model.Counters, int64, error) {
	return s.Store.InboxCounters(ctx, env, user)
}

// Position is the place of a seq in a user's inbox, to resume a stream from or
// to bound a mark-all.
func (s *Service) Position(user model.UserID, seq int64) model.Position {
	return model.Position{Epoch: s.Store.Epoch(), User: user, Seq: seq}
}

// Mark marks 1 to model.MaxMarkIDs notifications of a user's inbox. The result
// lists those that exist, as they are then, in the order of ids, each once.
func (s *Service) Mark(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, ids []model.NotificationID, as model.MarkState) (model.Outcome[model.MarkResult], error) {
	var check model.Check
	checkIDs(&check, ids)
	checkState(&check, as)
	if err := check.Err(); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	out, hint, err := s.Store.MarkNotifications(ctx, env, once, user, ids, as)
	s.publish(ctx, hint)
	return out, err
}

// MarkAll marks everything in a user's inbox that f selects and that was so at
// upTo already; nil is now. A nil f selects what is not archived, or for
// UNARCHIVED what is. Without a filter, SEEN and READ cost the same for a
// hundred thousand items as for one.
func (s *Service) MarkAll(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, as model.MarkState, upTo *model.Position, f *model.InboxFilter) (model.Outcome[model.MarkResult], error) {
	var (
		check model.Check
		bound *int64
	)
	checkState(&check, as)
	if upTo != nil {
		check.That(upTo.User == user, "must be a position of this inbox", "upTo")
		check.That(upTo.Epoch == s.Store.Epoch(), "must be newer than the restored database: read the inbox anew and take its position", "upTo")
		bound = &upTo.Seq
	}
	if err := check.Err(); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	out, hint, err := s.Store.MarkAll(ctx, env, once, user, as, bound, f)
	s.publish(ctx, hint)
	return out, err
}

// Delete deletes 1 to model.MaxMarkIDs notifications of a user's inbox for
// good. The result lists which were there.
func (s *Service) Delete(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, ids []model.NotificationID) (model.Outcome[model.MarkResult], error) {
	var check model.Check
	checkIDs(&check, ids)
	if err := check.Err(); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	out, hint, err := s.Store.DeleteNotifications(ctx, env, once, user, ids)
	s.publish(ctx, hint)
	return out, err
}

// publish tells of a change after its commit. The caller's context may have
// ended by then; the change has not.
func (s *Service) publish(ctx context.Context, hint *model.Hint) {
	if hint != nil {
		s.Live.Publish(context.WithoutCancel(ctx), *hint)
	}
}

// Find reads a notification, in an inbox or outside. One that does not exist,
// was deleted or has expired is a KindNotFound error.
func (s *Service) Find(ctx context.Context, env model.EnvID, id model.NotificationID) (model.Notification, error) {
	l, err := s.Store.Notifications(ctx, env, []model.NotificationID{id})
	if err != nil {
		return model.Notification{}, err
	}
	if len(l) == 0 {
		return model.Notification{}, model.NotFound("names no notification", "id")
	}
	return l[0], nil
}

// ByIDs reads notifications. Ids that name none are left out.
func (s *Service) ByIDs(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID]model.Notification, error) {
	l, err := s.Store.Notifications(ctx, env, ids)
	if err != nil {
		return nil, err
	}
	out := make(map[model.NotificationID]model.Notification, len(l))
	for _, n := range l {
		out[n.ID] = n
	}
	return out, nil
}

// Log reads a page of all notifications of an environment, newest first, also
// those outside an inbox. Of a page key only the id counts.
func (s *Service) Log(ctx context.Context, env model.EnvID, f model.NotificationFilter, page model.PageRequest) (model.Page[model.Notification], error) {
	if err := checkPage(page); err != nil {
		return model.Page[model.Notification]{}, err
	}
	return s.Store.NotificationLog(ctx, env, f, page)
}
