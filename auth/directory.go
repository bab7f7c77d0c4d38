package auth

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"carillon/internal/seal"
	"carillon/model"
)

// Lookup is what authentication needs from the database; the store has it.
// What does not exist is a KindNotFound error. Revoked and expired credentials
// are found: they are told apart here.
type Lookup interface {
	// CredentialByHash finds a credential of any environment by the [Hash] of
	// its secret.
	CredentialByHash(ctx context.Context, hash []byte) (model.Credential, error)
	// CredentialByID finds a credential of any environment by its id.
	CredentialByID(ctx context.Context, id model.CredentialID) (model.Credential, error)
	// Credentials returns the credentials of an environment, in any order.
	Credentials(ctx context.Context, env model.EnvID) ([]model.Credential, error)
	Environment(ctx context.Context, id model.EnvID) (model.Environment, error)
	// EnvironmentByAPIKey finds an environment by its public key.
	EnvironmentByAPIKey(ctx context.Context, key string) (model.Environment, error)
	UserID(ctx context.Context, env model.EnvID, identifier string) (model.UserID, error)
	// EnsureUser returns the user and creates it when there is none; true says
	// that it did.
	EnsureUser(ctx context.Context, env model.EnvID, identifier string) (model.User, bool, error)
}

// UserLookup tells which users are gone; the store has it.
type UserLookup interface {
	// MissingUsers returns those of users that do not exist.
	MissingUsers(ctx context.Context, users []model.UserRef) ([]model.UserRef, error)
}

const (
	maxCached      = 4096  // entries of each cache
	maxCachedUsers = 16384 // users in their cache
	maxAPIKey      = 255   // bytes of a public key
)

// directory is the Lookup behind caches, with keys made ready for use.
type directory struct {
	lookup  Lookup
	watch   UserLookup // nil: nobody refreshes
	box     *seal.Box
	hashes  *cache[[32]byte, *key]
	ids     *cache[model.CredentialID, *key]
	lists   *cache[model.EnvID, []*key]
	envs    *cache[model.EnvID, model.Environment]
	publics *cache[string, model.Environment]
	users   *cache[userName, model.UserID]
}

type userName struct {
	env        model.EnvID
	identifier string
}

func newDirectory(lookup Lookup, watch UserLookup, box *seal.Box) directory {
	return directory{
		lookup:  lookup,
		watch:   watch,
		box:     box,
		hashes:  newCache[[32]byte, *key](maxCached, missFor),
		ids:     newCache[model.CredentialID, *key](maxCached, missFor),
		lists:   newCache[model.EnvID, []*key](maxCached, missFor),
		envs:    newCache[model.EnvID, model.Environment](maxCached, missFor),
		publics: newCache[string, model.Environment](maxCached, missFor),
		// A missing user is not remembered: whoever identifies themselves
		// must be known in the next request.
		users: newCache[userName, model.UserID](maxCachedUsers, 0),
	}
}

// Forget drops what is remembered of an environment, its settings, credentials
// and users. Call it in the process that changed one of them, after the
// commit: here the change then counts at once, in other processes within two
// seconds.
func (d *directory) Forget(env model.EnvID) {
	ofKey := func(k *key) bool { return k.EnvID == env }
	d.hashes.forget(func(_ [32]byte, k *key) bool { return ofKey(k) })
	d.ids.forget(func(_ model.CredentialID, k *key) bool { return ofKey(k) })
	d.lists.forget(func(id model.EnvID, _ []*key) bool { return id == env })
	d.envs.forget(func(id model.EnvID, _ model.Environment) bool { return id == env })
	d.publics.forget(func(_ string, e model.Environment) bool { return e.ID == env })
	d.users.forget(func(n userName, _ model.UserID) bool { return n.env == env })
}

// ForgetUser drops what is remembered of one user. Call it after a deletion.
func (d *directory) ForgetUser(env model.EnvID, identifier string) {
	d.users.forget(func(n userName, _ model.UserID) bool { return n == userName{env, identifier} })
}

// byHash returns an empty key with the error of a miss.
func (d *directory) byHash(ctx context.Context, now time.Time, hash []byte) (*key, error) {
	return d.hashes.get(ctx, now, [32]byte(hash), func(ctx context.Context) (*key, error) {
		c, err := d.lookup.CredentialByHash(ctx, hash)
		if err != nil {
			return &key{}, err
		}
		return newKey(c, d.box), nil
	})
}

func (d *directory) byID(ctx context.Context, now time.Time, id model.CredentialID) (*key, error) {
	return d.ids.get(ctx, now, id, func(ctx context.Context) (*key, error) {
		c, err := d.lookup.CredentialByID(ctx, id)
		if err != nil {
			return &key{}, err
		}
		return newKey(c, d.box), nil
	})
}

// keys returns every key of an environment, the newest first.
func (d *directory) keys(ctx context.Context, now time.Time, env model.EnvID) ([]*key, error) {
	return d.lists.get(ctx, now, env, func(ctx context.Context) ([]*key, error) {
		all, err := d.lookup.Credentials(ctx, env)
		if err != nil {
			return nil, err
		}
		keys := make([]*key, len(all))
		for i, c := range all {
			keys[i] = newKey(c, d.box)
		}
		slices.SortFunc(keys, func(a, b *key) int {
			return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
		})
		return keys, nil
	})
}

func (d *directory) environment(ctx context.Context, now time.Time, id model.EnvID) (model.Environment, error) {
	return d.envs.get(ctx, now, id, func(ctx context.Context) (model.Environment, error) { return d.lookup.Environment(ctx, id) })
}

var errNoAPIKey = &model.Error{Kind: model.KindNotFound, Message: "not found", Err: errors.New("no text a public key could be")}

// public finds an environment by its public key. Text that cannot be one is
// not looked up: a database may choke on it.
func (d *directory) public(ctx context.Context, now time.Time, apiKey string) (model.Environment, error) {
	if len(apiKey) > maxAPIKey || strings.ContainsFunc(apiKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return model.Environment{}, errNoAPIKey
	}
	return d.publics.get(ctx, now, apiKey, func(ctx context.Context) (model.Environment, error) { return d.lookup.EnvironmentByAPIKey(ctx, apiKey) })
}

// userID finds a user, or creates it unless the environment demands tokens. It
// is zero for a user whom such an environment does not know.
func (d *directory) userID(ctx context.Context, now time.Time, env model.Environment, identifier string) (model.UserID, error) {
	id, err := d.users.get(ctx, now, userName{env.ID, identifier}, func(ctx context.Context) (model.UserID, error) {
		id, err := d.lookup.UserID(ctx, env.ID, identifier)
		if !notFound(err) || env.UserAuth == model.AuthToken {
			return id, err
		}
		u, _, err := d.lookup.EnsureUser(ctx, env.ID, identifier)
		return u.ID, err
	})
	if notFound(err) && env.UserAuth == model.AuthToken {
		return 0, nil
	}
	return id, err
}

// refresh asks in one query about every user that was looked up since the last
// time, so that users who come back more often than they would be forgotten
// cost no query each.
func (d *directory) refresh(ctx context.Context, now time.Time) error {
	used := d.users.inUse()
	refs := make([]model.UserRef, 0, len(used))
	for n, id := range used {
		refs = append(refs, model.UserRef{Env: n.env, ID: id})
	}
	gone := map[model.UserRef]bool{}
	for batch := range slices.Chunk(refs, pollBatch) {
		within, cancel := context.WithTimeout(ctx, lookUpWithin)
		missing, err := d.watch.MissingUsers(within, batch)
		cancel()
		if err != nil {
			return err
		}
		for _, u := range missing {
			gone[u] = true
		}
	}
	exists := func(n userName, id model.UserID) bool {
		return used[n] == id && !gone[model.UserRef{Env: n.env, ID: id}]
	}
	d.users.confirm(exists, now.Add(cacheFor)) // whoever is gone is forgotten when their time is over
	return nil
}
