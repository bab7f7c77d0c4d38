package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// personal gives what the notifications table keeps of a content: the texts that
// are its user's alone, as JSON; null: there are none.
func personal(c *model.Content) (sql.NullString, error) {
	if c == nil || c.Personal == 0 {
		return sql.NullString{}, nil
	}
	only := model.Content{Personal: c.Personal}
	b, err := json.Marshal(only.For(c.Texts()).Texts())
	if err != nil {
		return sql.NullString{}, fmt.Errorf("encoding personal texts: %w", err)
	}
	return sql.NullString{String: string(b), Valid: true}, nil
}

// personals are the personal texts of notifications, in their order; nil when none
// has any.
func personals[N any](list []N, content func(N) *model.Content) ([]sql.NullString, error) {
	if !slices.ContainsFunc(list, func(n N) bool { c := content(n); return c != nil && c.Personal != 0 }) {
		return nil, nil
	}
	out := make([]sql.NullString, len(list))
	for i, n := range list {
		var err error
		if out[i], err = personal(content(n)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// personalize gives a notification, which says what its send does, the texts that
// are its user's alone, as [personal] wrote them. What the send says to all by now
// stays.
func personalize(n *model.Notification, texts []byte) error {
	if len(texts) == 0 || n.Content.Personal == 0 {
		return nil
	}
	var own model.TemplateText
	if err := json.Unmarshal(texts, &own); err != nil {
		return fmt.Errorf("decoding personal texts of notification %d: %w", n.ID, err)
	}
	n.Content = n.Content.For(own)
	return nil
}

// speakPersonally gives the notifications named, if they are there, their own texts.
func (s *Store) speakPersonally(ctx context.Context, env model.EnvID, list []model.Notification, own []model.NotificationID) error {
	found, err := s.Notifications(ctx, env, own)
	for _, f := range found {
		for i := range list {
			if list[i].ID == f.ID {
				list[i].Content = f.Content
			}
		}
	}
	return err
}

// writePersonal replaces the personal texts of notifications, whose inboxes are
// locked.
func writePersonal(ctx context.Context, tx bun.IDB, env model.EnvID, texts map[model.NotificationID]sql.NullString) error {
	var rows values
	for id, text := range texts {
		rows.row(env, id, text)
	}
	if rows.empty() {
		return nil
	}
	_, err := tx.NewRaw(`with x (env_id, id, personal) as (values `+rows.String()+`)
		update notifications as n set personal = x.personal from x where n.env_id = x.env_id and n.id = x.id`, rows.args...).Exec(ctx)
	return err
}
