package view

import (
	"context"
	"encoding/json"

	"carillon/model"
)

// Interaction is what a user did to a notification.
type Interaction struct{ *model.Interaction }

// Data is what was filled in; an empty object for nothing.
func (i *Interaction) Data() json.RawMessage {
	if i.Interaction.Data == nil {
		return json.RawMessage("{}")
	}
	return i.Interaction.Data
}

// Interactions is what the user did to it.
func (n *Notification) Interactions(ctx context.Context) ([]*Interaction, error) {
	list, err := n.load.Interactions(ctx, n.Notification.ID)
	if err != nil {
		return nil, err
	}
	out := make([]*Interaction, len(list))
	for i := range list {
		out[i] = &Interaction{&list[i]}
	}
	return out, nil
}

// Skipped is whom the send left out.
func (s *Send) Skipped(ctx context.Context) ([]*model.Skipped, error) {
	list, err := s.load.Skipped(ctx, s.Send.ID)
	if err != nil {
		return nil, err
	}
	out := make([]*model.Skipped, len(list))
	for i := range list {
		out[i] = &list[i]
	}
	return out, nil
}
