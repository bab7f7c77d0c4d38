package storetest

import (
	"testing"
	"time"

	"carillon/model"
	"carillon/store"
)

// Env makes the test environment of an app.
func Env(t testing.TB, s *store.Store, app string) model.EnvID {
	t.Helper()
	env, err := s.CreateEnvironment(t.Context(), app, model.Environment{Kind: model.EnvTest, UserAuth: model.AuthOpen, APIKey: "pk_" + app}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return env.ID
}

// User makes a user.
func User(t testing.TB, s *store.Store, env model.EnvID, identifier string) model.UserID {
	t.Helper()
	u, _, err := s.EnsureUser(t.Context(), env, identifier)
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

// Sent is one send, as far as an inbox is concerned.
type Sent struct {
	Title     string
	At        time.Time // zero: 2026-01-02
	ExpiresAt time.Time // zero: never
	Category  model.CategoryID
	Outside   bool // the notifications are made outside of the inbox
	Once      model.Once
}

// Send sends to users and returns the notifications, in their order, and what
// is to be published.
func Send(t testing.TB, s *store.Store, env model.EnvID, what Sent, users ...model.UserID) ([]model.Notification, []*model.InboxChange) {
	t.Helper()
	list, changes, err := TrySend(t, s, env, what, users...)
	if err != nil {
		t.Fatal(err)
	}
	return list, changes
}

// TrySend is Send for other goroutines than the test's own.
func TrySend(t testing.TB, s *store.Store, env model.EnvID, what Sent, users ...model.UserID) ([]model.Notification, []*model.InboxChange, error) {
	ids, err := s.NewIDs(t.Context(), 1+len(users))
	if err != nil {
		return nil, nil, err
	}
	if what.At.IsZero() {
		what.At = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	p := model.PendingSend{Once: what.Once, Send: model.Send{
		ID: model.SendID(ids[0]), EnvID: env, RequestID: time.Unix(ids[0], 0).UTC().String(), Status: model.SendSent,
		Content: model.Content{Title: what.Title, Body: "body of " + what.Title}, CategoryID: what.Category,
		FiredAt: what.At, ExpiresAt: what.ExpiresAt, CreatedAt: what.At,
		Progress: model.SendProgress{Total: int64(len(users)), Done: int64(len(users))},
	}}
	for i, user := range users {
		p.Notifications = append(p.Notifications, model.Notification{
			ID: model.NotificationID(ids[i+1]), EnvID: env, UserID: user, SendID: p.Send.ID, CategoryID: what.Category, Content: &p.Send.Content,
			InInbox: !what.Outside, Reason: model.ReasonEnvDefault, SortAt: what.At, CreatedAt: what.At, ExpiresAt: what.ExpiresAt,
		})
	}
	_, changes, err := s.SaveSends(t.Context(), []model.PendingSend{p})
	return p.Notifications, changes, err
}
