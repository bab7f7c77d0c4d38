package inbox

import (
	"context"
	"slices"

	"carillon/model"
)

const (
	editBatch = 500 // inboxes of one transaction
	// editAtOnce is how many batches a call itself tells; the sweeper has the rest.
	editAtOnce = 4
)

// EditSend changes what a send says, for every inbox and for what is yet to go
// out. Whoever reads it from then on reads the new text; the first inboxes have
// been told when it returns, the rest is told soon after, whatever becomes of this
// process. A send that was recalled, or cancelled before it went out, is a
// KindConflict error.
func (s *Service) EditSend(ctx context.Context, env model.EnvID, once model.Once, id model.SendID, change model.ContentChange) (model.Outcome[model.Send], error) {
	change, err := change.Checked()
	if err == nil && change.Data != nil && !change.Texts() {
		change.Rendered, err = s.renderAgain(ctx, env, id, change.Data)
	}
	if err != nil {
		return model.Outcome[model.Send]{}, err
	}
	out, err := s.Store.EditSend(ctx, env, once, id, change)
	if err != nil || out.Replayed {
		return out, err
	}
	s.spreadSome(ctx, env, id)
	return out, nil
}

// renderAgain is what the template of a send makes of other data; nil: it has
// none, or one that an edit stands for.
func (s *Service) renderAgain(ctx context.Context, env model.EnvID, id model.SendID, data []byte) (*model.Content, error) {
	options, err := s.Store.SendOptions(ctx, env, []model.SendID{id})
	if err != nil || options[id].Template == nil {
		return nil, err
	}
	sends, err := s.Store.Sends(ctx, env, []model.SendID{id})
	if err != nil || sends[id].Content.Own {
		return nil, err
	}
	said, err := s.Templates.Again(ctx, env, *options[id].Template, sends[id].Channels, data)
	if err != nil {
		return nil, err
	}
	return &said, nil
}

// spreadSome tells the first inboxes. The edit stands whatever fails: the sweeper
// goes on with it.
func (s *Service) spreadSome(ctx context.Context, env model.EnvID, id model.SendID) {
	for range editAtOnce {
		more, err := s.spread(ctx, env, id)
		if err != nil {
			s.logger().WarnContext(ctx, "telling inboxes of an edit; the sweeper goes on", "error", err)
		}
		if err != nil || !more {
			return
		}
	}
}

func (s *Service) spread(ctx context.Context, env model.EnvID, id model.SendID) (more bool, err error) {
	within, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	more, hints, err := s.Store.SpreadEdit(within, env, id, editBatch, s.speak)
	if err == nil {
		s.Live.Publish(context.WithoutCancel(ctx), hints...)
	}
	return more, err
}

// speak is the [model.Speaker] of sends that were edited. A user who is gone is
// told what the send says without one.
func (s *Service) speak(ctx context.Context, m model.Send, ids []model.UserID) ([]model.TemplateText, error) {
	options, err := s.Store.SendOptions(ctx, m.EnvID, []model.SendID{m.ID})
	if err != nil {
		return nil, err
	}
	found, err := s.Store.UsersByID(ctx, m.EnvID, ids)
	if err != nil {
		return nil, err
	}
	users := make([]model.User, len(ids))
	for _, u := range found {
		users[slices.Index(ids, u.ID)] = u
	}
	return s.Templates.Personal(ctx, m.EnvID, model.PersonalTexts{Template: options[m.ID].Template, Content: &m.Content, Users: users})
}

// editDue tells inboxes of what was edited and they have not been told: see inTurns.
func (s *Service) editDue(ctx context.Context) (more bool, err error) {
	return inTurns(ctx, s.Store.EditedSend, s.spread)
}
