// Package view shows package model's nouns in the schema's shapes: its scalars,
// enums and opaque ids, and thin types around the nouns whose methods are the
// fields that differ. gqlgen binds the schema to them, so that a page of rows
// costs no goroutine and no conversion for a field that nobody asks for.
//
// It reads nothing: what a row refers to comes from the [Loader] that the
// surface puts into it. It knows no caller and decides nothing.
package view

import (
	"context"

	"carillon/model"
)

// Loader finds what rows refer to. It is made for one page of rows, so that
// asking for each row's category costs one look-up and not one a row. It is
// safe for concurrent use.
type Loader interface {
	User(ctx context.Context, id model.UserID) (*User, error)
	Send(ctx context.Context, id model.SendID) (*Send, error)
	// Category returns nil for a category that was deleted.
	Category(ctx context.Context, id model.CategoryID) (*Category, error)
	// Layout returns nil for one that was deleted.
	Layout(ctx context.Context, id model.LayoutID) (*Layout, error)
	// Deliveries are those of a notification, as the caller may see them.
	Deliveries(ctx context.Context, id model.NotificationID) ([]*Delivery, error)
	Attempts(ctx context.Context, id model.DeliveryID) ([]model.Attempt, error)
	// Provider returns nil for one that was deleted.
	Provider(ctx context.Context, id model.ProviderID) (*Provider, error)
	// Notification returns nil for one that is gone.
	Notification(ctx context.Context, id model.NotificationID) (*Notification, error)
	Interactions(ctx context.Context, id model.NotificationID) ([]model.Interaction, error)
	Skipped(ctx context.Context, id model.SendID) ([]model.Skipped, error)
}

// Node is an object that Query.node finds.
type Node interface {
	ID() string
	// IsNode marks the types of the schema's interface Node.
	IsNode()
}

// text is s, or null when it is empty: the model has no other absent text.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
