package store_test

import (
	"encoding/json"
	"testing"

	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

// Users are identified many at a time, and sends make many inboxes: if the one
// kept the other waiting, they would wait for each other.
func TestSendsDoNotWaitForUsersWhoAreBeingChanged(t *testing.T) {
	t.Parallel()
	storetest.OnPostgres(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		env := newEnvironment(t, s)
		ctx := t.Context()
		next := json.RawMessage(`{"a":1}`)
		for name, change := range map[string]func(user string, during func() error) error{
			"identified": func(user string, during func() error) error {
				calls := 0
				_, err := s.IdentifyUser(ctx, env, model.Once{}, user, func(int, json.RawMessage) (json.RawMessage, []model.Problem, error) {
					if calls++; calls == 1 { // it is asked what would change before anything is locked
						return next, nil, nil
					}
					return next, nil, during()
				})
				return err
			},
			"patched": func(user string, during func() error) error {
				_, err := s.PatchProfile(ctx, env, model.Once{}, user, nil, func(json.RawMessage) (json.RawMessage, error) { return next, during() })
				return err
			},
			"given a device": func(user string, during func() error) error {
				u, err := s.User(ctx, env, user)
				if err != nil {
					return err
				}
				var inside error
				_, err = s.RegisterDevice(ctx, env, model.Once{}, model.Device{ID: "d", UserID: u.ID, Key: "d"}, func(d model.Device) model.Device {
					inside = during()
					return d
				})
				if inside != nil {
					return inside
				}
				return err
			},
		} {
			id := storetest.User(t, s, env, name)
			if err := change(name, func() error {
				_, _, err := storetest.TrySend(t, s, env, storetest.Sent{Title: "first"}, id)
				return err
			}); err != nil {
				t.Errorf("sending to a user who is being %s: %v", name, err)
			}
		}
	})
}
