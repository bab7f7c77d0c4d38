package inbox

import (
	"context"
	"fmt"

	"carillon/model"
)

// Page reads a page of a user's inbox by its number, newest first.
func (s *Service) Page(ctx context.Context, env model.EnvID, user model.UserID, f model.InboxFilter, at model.PageNumber) (model.NumberedInbox, error) {
	if err := checkNumber(at); err != nil {
		return model.NumberedInbox{}, err
	}
	return s.Store.InboxPage(ctx, env, user, f, at)
}

// MarkPage marks what [Service.Page] shows, in one go.
func (s *Service) MarkPage(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, f model.InboxFilter, at model.PageNumber, as model.MarkState) (model.Outcome[model.MarkResult], error) {
	var check model.Check
	checkState(&check, as)
	if err := check.Err(); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	if err := checkNumber(at); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	out, hint, err := s.Store.MarkPage(ctx, env, once, user, f, at, as)
	s.publish(ctx, hint)
	return out, err
}

// DeleteAll deletes everything in a user's inbox that is not archived, for
// good.
func (s *Service) DeleteAll(ctx context.Context, env model.EnvID, once model.Once, user model.UserID) (model.Outcome[model.MarkResult], error) {
	out, hint, err := s.Store.DeleteAll(ctx, env, once, user)
	s.publish(ctx, hint)
	return out, err
}

// SetState gives a notification of a user's inbox a state of the customer's
// own, and keeps what the user filled in. The result has the notification as it
// is then, also when it is deleted by that; an id that names nothing in this
// inbox is NotFound.
func (s *Service) SetState(ctx context.Context, env model.EnvID, once model.Once, user model.UserID, id model.NotificationID, change model.StateChange) (model.Outcome[model.MarkResult], error) {
	var check model.Check
	if m := model.CheckIdentifier(change.State); change.State == "" {
		check.Add(model.ProblemRequired, "must not be empty", "state")
	} else if m != "" {
		check.Add(model.ProblemInvalid, m, "state")
	}
	if change.Data != nil {
		if m := model.CheckJSONObject(change.Data, model.MaxInteractionData, model.MaxDataDepth); m != "" {
			check.Add(model.ProblemInvalid, m, "data")
		}
	}
	if err := check.Err(); err != nil {
		return model.Outcome[model.MarkResult]{}, err
	}
	out, hint, err := s.Store.SetNotificationState(ctx, env, once, user, id, change)
	s.publish(ctx, hint)
	return out, err
}

// Owner says whose inbox a notification is, or was until it was deleted, in.
// One that never was is a KindNotFound error.
func (s *Service) Owner(ctx context.Context, env model.EnvID, id model.NotificationID) (model.UserID, error) {
	return s.Store.NotificationOwner(ctx, env, id)
}

// Interactions reads what users did to notifications, oldest first of each.
func (s *Service) Interactions(ctx context.Context, env model.EnvID, ids []model.NotificationID) (map[model.NotificationID][]model.Interaction, error) {
	return s.Store.Interactions(ctx, env, ids)
}

func checkNumber(at model.PageNumber) error {
	var check model.Check
	check.That(at.Number >= 1 && at.Number <= model.MaxID/model.MaxPage, "must be 1 or more", "page")
	check.That(at.Limit >= 1 && at.Limit <= model.MaxPage, fmt.Sprintf("must be between 1 and %d", model.MaxPage), "limit")
	return check.Err()
}
