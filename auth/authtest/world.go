package authtest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"carillon/auth"
	"carillon/internal/seal"
	"carillon/model"
)

// World is an auth.Lookup and auth.SessionLookup in memory. It is safe for
// concurrent use.
type World struct {
	Box *seal.Box

	mu           sync.Mutex
	lastID       int64
	environments map[model.EnvID]model.Environment
	credentials  map[model.CredentialID]model.Credential
	users        map[model.UserRef]model.User
	calls        int
	fail         error
}

var (
	_ auth.Lookup        = (*World)(nil)
	_ auth.SessionLookup = (*World)(nil)
)

// NewWorld returns an empty World with a master key of its own.
func NewWorld(tb testing.TB) *World {
	tb.Helper()
	box, err := seal.NewBox(seal.NewKey())
	if err != nil {
		tb.Fatal(err)
	}
	return &World{
		Box: box, lastID: 1000, environments: map[model.EnvID]model.Environment{},
		credentials: map[model.CredentialID]model.Credential{}, users: map[model.UserRef]model.User{},
	}
}

// Service returns an auth.Service over the World, with nothing remembered yet.
func (w *World) Service() *auth.Service {
	return auth.NewService(auth.Config{Lookup: w, Box: w.Box})
}

// Calls is how many look-ups were made so far.
func (w *World) Calls() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls
}

// Fail makes every look-up fail with err; nil heals.
func (w *World) Fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// Change edits an environment.
func (w *World) Change(env model.EnvID, edit func(*model.Environment)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.environments[env]
	edit(&e)
	w.environments[env] = e
}

// ChangeCredential edits a credential.
func (w *World) ChangeCredential(id model.CredentialID, edit func(*model.Credential)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.credentials[id]
	edit(&c)
	w.credentials[id] = c
}

// Revoke ends a credential now.
func (w *World) Revoke(id model.CredentialID) {
	w.ChangeCredential(id, func(c *model.Credential) { c.RevokedAt = time.Now() })
}

// Users is how many users there are.
func (w *World) Users() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.users)
}

// DeleteUser removes a user.
func (w *World) DeleteUser(env model.EnvID, id model.UserID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.users, model.UserRef{Env: env, ID: id})
}

// next is an id no other row has; w.mu is held.
func (w *World) next() int64 {
	w.lastID++
	return w.lastID
}

func (w *World) enter() (leave func(), err error) {
	w.mu.Lock()
	w.calls++
	return w.mu.Unlock, w.fail
}

// CredentialByHash implements auth.Lookup.
func (w *World) CredentialByHash(_ context.Context, hash []byte) (model.Credential, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return model.Credential{}, err
	}
	for _, c := range w.credentials {
		if len(hash) > 0 && bytes.Equal(c.LookupHash, hash) {
			return c, nil
		}
	}
	return model.Credential{}, model.NotFound("is unknown", "credential")
}

// CredentialByID implements auth.Lookup.
func (w *World) CredentialByID(_ context.Context, id model.CredentialID) (model.Credential, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return model.Credential{}, err
	}
	c, ok := w.credentials[id]
	if !ok {
		return model.Credential{}, model.NotFound("is unknown", "credential")
	}
	return c, nil
}

// Credentials implements auth.Lookup.
func (w *World) Credentials(_ context.Context, env model.EnvID) ([]model.Credential, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return nil, err
	}
	var out []model.Credential
	for _, c := range w.credentials {
		if c.EnvID == env {
			out = append(out, c)
		}
	}
	return out, nil
}

// Environment implements auth.Lookup.
func (w *World) Environment(_ context.Context, id model.EnvID) (model.Environment, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return model.Environment{}, err
	}
	e, ok := w.environments[id]
	if !ok {
		return model.Environment{}, model.NotFound("is unknown", "environment")
	}
	return e, nil
}

// EnvironmentByAPIKey implements auth.Lookup.
func (w *World) EnvironmentByAPIKey(_ context.Context, key string) (model.Environment, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return model.Environment{}, err
	}
	for _, e := range w.environments {
		if e.APIKey == key {
			return e, nil
		}
	}
	return model.Environment{}, model.NotFound("is unknown", "environment")
}

// UserID implements auth.Lookup.
func (w *World) UserID(_ context.Context, env model.EnvID, identifier string) (model.UserID, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return 0, err
	}
	u, err := w.user(env, identifier)
	return u.ID, err
}

func (w *World) user(env model.EnvID, identifier string) (model.User, error) {
	for _, u := range w.users {
		if u.EnvID == env && u.Identifier == identifier {
			return u, nil
		}
	}
	return model.User{}, model.NotFound("is unknown", "user")
}

// EnsureUser implements auth.Lookup.
func (w *World) EnsureUser(_ context.Context, env model.EnvID, identifier string) (model.User, bool, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return model.User{}, false, err
	}
	if u, err := w.user(env, identifier); err == nil {
		return u, false, nil
	}
	u := model.User{ID: model.UserID(w.next()), EnvID: env, Identifier: identifier, Enabled: true, CreatedAt: time.Now().UTC()}
	w.users[model.UserRef{Env: env, ID: u.ID}] = u
	return u, true, nil
}

// EndedCredentials implements auth.SessionLookup.
func (w *World) EndedCredentials(_ context.Context, ids []model.CredentialID, now time.Time) ([]model.CredentialID, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return nil, err
	}
	var out []model.CredentialID
	for _, id := range ids {
		if c, ok := w.credentials[id]; !ok || !c.Live(now) {
			out = append(out, id)
		}
	}
	return out, nil
}

// MissingUsers implements auth.SessionLookup.
func (w *World) MissingUsers(_ context.Context, users []model.UserRef) ([]model.UserRef, error) {
	leave, err := w.enter()
	defer leave()
	if err != nil {
		return nil, err
	}
	var out []model.UserRef
	for _, u := range users {
		if _, ok := w.users[u]; !ok {
			out = append(out, u)
		}
	}
	return out, nil
}

func (w *World) newID(kind string) model.CredentialID {
	return model.CredentialID(fmt.Sprintf("%s-%d", kind, w.next()))
}
