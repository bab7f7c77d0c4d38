package notify

import (
	"context"
	"slices"

	"carillon/model"
)

// personalChunk is how many recipients a chunk of a send with personal texts has at
// most: their profiles and texts are in memory together.
const personalChunk = 250

// personalize renders, before its transaction, what a small send with personal
// texts says to each recipient. What takes too long is left to the expanders, as a
// large send is.
func (s *Service) personalize(ctx context.Context, j *job) error {
	m := j.req.Content
	if j.texts = nil; m.Personal == 0 || j.scheduled() || j.slow || j.firesLarge() || j.hasOthers() {
		return nil
	}
	found, err := s.Store.Recipients(ctx, model.RecipientQuery{Keys: j.keys()})
	if err != nil {
		return err
	}
	if found = existing(found); len(found) > model.MaxSmallSend {
		return nil // a large one
	}
	options := j.req.Options
	if j.due != nil {
		options = j.due.Options
	}
	texts, whole, err := s.render(ctx, model.Send{EnvID: j.env.ID, Content: m}, options, found)
	j.texts, j.slow = texts, !whole
	return err
}

// personalizeDue does so for due sends. One that fails is tried again with the next
// look.
func (s *Service) personalizeDue(ctx context.Context, jobs []*job) {
	for _, j := range jobs {
		if err := s.personalize(ctx, j); err != nil {
			s.log().WarnContext(ctx, "rendering a scheduled send", "env", j.env.ID, "send", j.due.Send.ID, "error", err)
		}
	}
}

// existing are the recipients who exist, each once.
func existing(found []model.Recipient) []model.Recipient {
	seen := map[model.UserID]bool{0: true}
	return slices.DeleteFunc(found, func(r model.Recipient) bool {
		had := seen[r.ID]
		seen[r.ID] = true
		return had
	})
}

// render is what a send with personal texts says to recipients, those left out who
// are gone. It is not whole when it would take too long for all: then it has some.
func (s *Service) render(ctx context.Context, m model.Send, options model.SendOptions, to []model.Recipient) (texts map[model.UserID]model.TemplateText, whole bool, err error) {
	ids := make([]model.UserID, len(to))
	for i, r := range to {
		ids[i] = r.ID
	}
	users, err := s.Store.UsersByID(ctx, m.EnvID, ids)
	if err != nil {
		return nil, false, err
	}
	said, err := s.Templates.Personal(ctx, m.EnvID, model.PersonalTexts{Template: options.Template, Content: &m.Content, Users: users})
	if err != nil {
		return nil, false, err
	}
	texts = make(map[model.UserID]model.TemplateText, len(said))
	for i, text := range said {
		texts[users[i].ID] = text
	}
	return texts, len(said) == len(users), nil
}

// readPersonal reads the part of an audience that q asks for and, of a send with
// personal texts, what it says to each. When that takes too long for all of them,
// the part is smaller.
func (e *expander) readPersonal(ctx context.Context, m model.Send, options model.SendOptions, q model.AudienceQuery) (model.AudiencePart, map[model.UserID]model.TemplateText, error) {
	part, err := e.read(ctx, m.ID, q)
	if err != nil || m.Content.Personal == 0 {
		return part, nil, err
	}
	texts, whole, err := e.render(ctx, m, options, part.Recipients)
	if err != nil || whole {
		return part, texts, err
	}
	// Whoever has come or gone meanwhile is among them or not: all are rendered anew.
	q.Limit = max(1, len(texts)/2)
	return e.readPersonal(ctx, m, options, q)
}
