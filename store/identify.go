package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// EnsureUser reads a user by identifier and creates it when there is none;
// true says that it did.
func (s *Store) EnsureUser(ctx context.Context, env model.EnvID, identifier string) (model.User, bool, error) {
	u, err := s.User(ctx, env, identifier)
	if model.KindOf(err) != model.KindNotFound {
		return u, false, err
	}
	out, err := s.IdentifyUser(ctx, env, model.Once{}, identifier, func(_ int, now json.RawMessage) (json.RawMessage, []model.Problem, error) {
		if now == nil {
			now = model.InitialAttributes(identifier)
		}
		return now, nil, nil
	})
	if err != nil {
		return model.User{}, false, err
	}
	return out.Value.User, out.Value.Created, nil
}

// IdentifyUser is IdentifyUsers for one; a problem is a KindInvalid error.
func (s *Store) IdentifyUser(ctx context.Context, env model.EnvID, o model.Once, identifier string, merge model.ProfileMerge) (model.Outcome[model.Identified], error) {
	return identify(ctx, s, env, o, []string{identifier}, merge, func(r []model.IdentifyResult) (model.Identified, error) {
		if len(r[0].Problems) > 0 {
			return model.Identified{}, &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: r[0].Problems}
		}
		return r[0].Identified, nil
	})
}

// IdentifyUsers creates users and changes their profiles, all in one
// transaction: merge is asked for each identifier in turn, one named twice is
// merged twice and changed once. What merge finds problems with is left out,
// and so is a user whose profile is already so: nothing is written for them.
func (s *Store) IdentifyUsers(ctx context.Context, env model.EnvID, o model.Once, identifiers []string, merge model.ProfileMerge) (model.Outcome[[]model.IdentifyResult], error) {
	return identify(ctx, s, env, o, identifiers, merge, func(r []model.IdentifyResult) ([]model.IdentifyResult, error) { return r, nil })
}

// identify does the work of IdentifyUsers and returns, and remembers under the
// idempotency key, what answer makes of the results.
func identify[T any](ctx context.Context, s *Store, env model.EnvID, o model.Once, identifiers []string, merge model.ProfileMerge,
	answer func([]model.IdentifyResult) (T, error),
) (model.Outcome[T], error) {
	const tries = 3 // users may be deleted between looking and locking
	names := slices.Compact(slices.Sorted(slices.Values(identifiers)))
	var none model.Outcome[T]
	for range tries {
		call := identifyCall{s: s, env: env, identifiers: identifiers, merge: merge, now: s.now()}
		known, err := s.usersNamed(ctx, s.r, env, names, "")
		if err != nil {
			return none, err
		}
		p, err := call.plan(known)
		if err != nil {
			return none, err
		}
		if !o.Set() && len(p.created)+len(p.changed) == 0 {
			v, err := answer(p.results())
			return model.Outcome[T]{Value: v}, err
		}
		if call.ids, err = s.NewIDs(ctx, len(p.created)); err != nil {
			return none, err
		}
		out, err := once(ctx, s, env, o, "identifying users", func(ctx context.Context, tx bun.Tx) (T, error) {
			results, err := call.run(ctx, tx, names)
			if err != nil {
				var none T
				return none, err
			}
			return answer(results)
		})
		if !errors.Is(err, errMoreIDs) {
			return out, err
		}
	}
	return none, errMoreIDs
}

var errMoreIDs = &model.Error{Kind: model.KindUnavailable, RetryAfter: time.Second, Message: "users are being deleted at this moment; try again"}

// usersNamed reads users by identifier, in its order, so that all who lock
// users lock them in one order.
func (s *Store) usersNamed(ctx context.Context, db bun.IDB, env model.EnvID, names []string, lock string) (map[string]model.User, error) {
	found := make(map[string]model.User, len(names))
	for chunk := range slices.Chunk(names, lookupChunk) {
		l, err := s.users(ctx, db, " where u.env_id = "+anyEnv+" and u.identifier in (?) order by u.identifier"+lock, env, bun.List(chunk))
		if err != nil {
			return nil, err
		}
		for _, u := range l {
			found[u.Identifier] = u
		}
	}
	return found, s.addAliased(ctx, db, env, names, lock, found)
}

// addAliased adds users whom names named before. It runs after the names that
// are in use were looked for, and locked: who was merged or renamed meanwhile
// is found here.
func (s *Store) addAliased(ctx context.Context, db bun.IDB, env model.EnvID, names []string, lock string, found map[string]model.User) error {
	var missing []string
	for _, name := range names {
		if _, ok := found[name]; !ok {
			missing = append(missing, name)
		}
	}
	for chunk := range slices.Chunk(missing, lookupChunk) {
		now, err := aliased(ctx, db, env, chunk)
		if err != nil {
			return err
		}
		if len(now) == 0 {
			continue
		}
		ids := slices.Sorted(maps.Values(now))
		l, err := s.users(ctx, db, " where u.env_id = "+anyEnv+" and u.id in (?) order by u.identifier"+lock, env, bun.List(slices.Compact(ids)))
		if err != nil {
			return err
		}
		for name, id := range now {
			if i := slices.IndexFunc(l, func(u model.User) bool { return u.ID == id }); i >= 0 {
				found[name] = l[i]
			}
		}
	}
	return nil
}

// aliased finds users by identifiers that they had before.
func aliased(ctx context.Context, db bun.IDB, env model.EnvID, names []string) (map[string]model.UserID, error) {
	var rows []struct {
		Identifier string
		UserID     model.UserID
	}
	if err := db.NewRaw("select identifier, user_id from user_aliases where env_id = ? and identifier in (?)", env, bun.List(names)).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	out := make(map[string]model.UserID, len(rows))
	for _, r := range rows {
		out[r.Identifier] = r.UserID
	}
	return out, nil
}

type identifyCall struct {
	s           *Store
	env         model.EnvID
	identifiers []string
	merge       model.ProfileMerge
	now         time.Time
	ids         []int64 // for those who are created
}

// identifyPlan is what a call comes to, given who is known.
type identifyPlan struct {
	items   []model.IdentifyResult // users by identifier alone
	users   map[string]*model.User
	created []*model.User // in order of identifier, without ids
	changed []*model.User
}

func (c *identifyCall) plan(known map[string]model.User) (identifyPlan, error) {
	p := identifyPlan{items: make([]model.IdentifyResult, len(c.identifiers)), users: make(map[string]*model.User, len(c.identifiers))}
	byID := make(map[model.UserID]*model.User, len(known))
	for name, u := range known { // by a former identifier it is the same user
		if byID[u.ID] == nil {
			byID[u.ID] = &u
		}
		p.users[name] = byID[u.ID]
	}
	isNew, isChanged := map[*model.User]bool{}, map[*model.User]bool{}
	for i, name := range c.identifiers {
		item := &p.items[i]
		item.User.Identifier = name
		u := p.users[name]
		var now json.RawMessage
		if u != nil {
			now = u.Profile.Attributes
		}
		attributes, problems, err := c.merge(i, now)
		switch {
		case err != nil:
			return p, err
		case len(problems) > 0:
			item.Problems = problems
		case u == nil:
			u = &model.User{
				EnvID: c.env, Identifier: name, Enabled: true, Kind: model.UserPerson, SignedUpAt: c.now,
				Profile:   model.Profile{Version: 1, Attributes: attributes},
				CreatedAt: c.now, UpdatedAt: c.now,
			}
			p.users[name], isNew[u], item.Created = u, true, true
			p.created = append(p.created, u)
		case isNew[u]:
			u.Profile.Attributes = attributes
		case !bytes.Equal(now, attributes):
			u.Profile.Attributes, u.UpdatedAt = attributes, c.now
			if !isChanged[u] {
				u.Profile.Version++
				isChanged[u] = true
				p.changed = append(p.changed, u)
			}
		}
	}
	slices.SortFunc(p.created, func(a, b *model.User) int { return strings.Compare(a.Identifier, b.Identifier) })
	return p, nil
}

// results gives each item its user as it stands in the end.
func (p identifyPlan) results() []model.IdentifyResult {
	for i := range p.items {
		if item := &p.items[i]; len(item.Problems) == 0 {
			item.User = *p.users[item.User.Identifier]
		} else {
			item.User = model.User{}
		}
	}
	return p.items
}

func (c *identifyCall) run(ctx context.Context, tx bun.Tx, names []string) ([]model.IdentifyResult, error) {
	known, err := c.s.usersNamed(ctx, tx, c.env, names, c.s.dialect.forChange)
	if err != nil {
		return nil, err
	}
	return c.runKnown(ctx, tx, known)
}

// runKnown is run with the users who are there, and locked.
func (c *identifyCall) runKnown(ctx context.Context, tx bun.Tx, known map[string]model.User) ([]model.IdentifyResult, error) {
	p, err := c.plan(known)
	if err != nil {
		return nil, err
	}
	if len(p.created) > len(c.ids) {
		return nil, errMoreIDs
	}
	if len(p.created) > 0 {
		late, err := c.create(ctx, tx, p.created)
		if err != nil {
			return nil, err
		}
		if len(late) > 0 {
			if p, err = c.planAgain(ctx, tx, p, known, late); err != nil {
				return nil, err
			}
		}
	}
	if err := c.save(ctx, tx, p); err != nil {
		return nil, err
	}
	return p.results(), nil
}

// planAgain plans with users whom others created while this call was about to:
// they are changed instead. The rest of p's new users keep their ids.
func (c *identifyCall) planAgain(ctx context.Context, tx bun.Tx, p identifyPlan, known map[string]model.User, late []string) (identifyPlan, error) {
	more, err := c.s.usersNamed(ctx, tx, c.env, late, c.s.dialect.forChange)
	if err != nil {
		return p, err
	}
	if len(more) < len(late) {
		return p, errMoreIDs
	}
	maps.Copy(known, more)
	again, err := c.plan(known)
	for _, u := range again.created {
		u.ID = p.users[u.Identifier].ID
	}
	return again, err
}

// create inserts users, who get their ids, and returns the identifiers of
// those who were there by now.
func (c *identifyCall) create(ctx context.Context, tx bun.Tx, users []*model.User) (late []string, err error) {
	var rows values
	for i, u := range users {
		u.ID = model.UserID(c.ids[i])
		rows.row(u.EnvID, u.ID, u.Identifier, u.Enabled, micros(u.CreatedAt), micros(u.UpdatedAt))
	}
	var inserted []string
	if err := tx.NewRaw("insert into users (env_id, id, identifier, enabled, created_at, updated_at) values "+rows.String()+
		" on conflict (env_id, identifier) do nothing returning identifier", rows.args...).Scan(ctx, &inserted); err != nil {
		return nil, err
	}
	if len(inserted) == len(users) {
		return nil, nil
	}
	for _, u := range users {
		if !slices.Contains(inserted, u.Identifier) {
			late = append(late, u.Identifier)
		}
	}
	return late, nil
}

func (c *identifyCall) save(ctx context.Context, tx bun.Tx, p identifyPlan) error {
	if len(p.changed) > 0 {
		ids := make([]model.UserID, len(p.changed))
		for i, u := range p.changed {
			ids[i] = u.ID
		}
		if _, err := tx.NewRaw("update users set updated_at = ? where env_id = ? and id in (?)", micros(c.now), c.env, bun.List(ids)).Exec(ctx); err != nil {
			return err
		}
	}
	if err := saveProfiles(ctx, tx, slices.Concat(p.created, p.changed)); err != nil {
		return err
	}
	if err := c.s.tellUser(ctx, tx, model.EventUserCreated, p.created...); err != nil {
		return err
	}
	return c.s.tellUser(ctx, tx, model.EventUserUpdated, p.changed...)
}
