package main

import (
	"context"

	"carillon/catalog"
	"carillon/delivery"
)

// rendering has templates say what deliveries say, unless an edit of the send
// says it.
type rendering struct{ templates *catalog.Templates }

// Render implements [delivery.Renderer].
func (r rendering) Render(ctx context.Context, m *delivery.Message, about delivery.Subject) error {
	if about.Options.Template == nil || about.Notification.Content.Own {
		return nil
	}
	text, err := r.templates.Render(ctx, about.Env.ID, *about.Options.Template, m.Channel, about.User, m.Data)
	if err != nil {
		return err
	}
	m.Title, m.Text, m.HTML, m.URL, m.Icon = text.Title, text.Body, text.HTML, text.URL, text.Icon
	return nil
}
