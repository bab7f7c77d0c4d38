package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// ChangeUser makes everything that a change says true of one user, in one
// transaction: see [model.UserChange]. A change that changes nothing writes
// nothing but what it registers.
func (s *Store) ChangeUser(ctx context.Context, env model.EnvID, o model.Once, ch model.UserChange) (model.Outcome[model.Identified], error) {
	id, err := s.newID(ctx)
	if err != nil {
		return model.Outcome[model.Identified]{}, err
	}
	return once(ctx, s, env, o, "changing user", func(ctx context.Context, tx bun.Tx) (model.Identified, error) {
		c := userChanging{s: s, tx: tx, env: env, ch: ch}
		return c.run(ctx, model.UserID(id))
	})
}

// userChanging is one run of ChangeUser.
type userChanging struct {
	s   *Store
	tx  bun.Tx
	env model.EnvID
	ch  model.UserChange
	u   model.User
	was model.User
	out model.Identified

	changed bool // the user's own row or profile
}

func (c *userChanging) run(ctx context.Context, id model.UserID) (model.Identified, error) {
	if err := c.find(ctx, id); err != nil {
		return c.out, err
	}
	c.was = c.u
	if c.ch.Guard != nil && !c.out.Created {
		if err := c.ch.Guard(c.u); err != nil {
			return c.out, err
		}
	}
	for _, step := range []func(context.Context) error{c.profile, c.columns, c.devices, c.addresses, c.topics, c.accounts} {
		if err := step(ctx); err != nil {
			return c.out, err
		}
	}
	c.out.User = c.u
	switch {
	case c.out.Created:
		return c.out, c.s.tellUser(ctx, c.tx, model.EventUserCreated, &c.u)
	case c.changed:
		return c.out, c.s.tellUser(ctx, c.tx, model.EventUserUpdated, &c.u)
	}
	return c.out, nil
}

// find locks the user, or makes them.
func (c *userChanging) find(ctx context.Context, id model.UserID) error {
	var err error
	if c.ch.MatchFirst {
		if found, err := c.match(ctx); err != nil || found {
			return err
		}
	}
	c.u, err = c.s.user(ctx, c.tx, c.env, c.ch.Identifier, c.s.dialect.forChange)
	switch {
	case err == nil && c.ch.MustCreate:
		return model.Conflict("is taken by another user", "identifier")
	case model.KindOf(err) != model.KindNotFound:
		return err
	}
	if !c.ch.MatchFirst {
		if found, err := c.match(ctx); err != nil || found {
			return err
		}
	}
	if c.ch.MustExist {
		return err
	}
	return c.create(ctx, id)
}

// match looks for the user by e-mail address, then by phone number; of several
// the oldest counts.
func (c *userChanging) match(ctx context.Context) (bool, error) {
	for _, by := range [][2]string{{"email", c.ch.Match.Email}, {"phone_number", c.ch.Match.Phone}} {
		column, value := by[0], by[1]
		if value == "" {
			continue
		}
		where := " where p.env_id = ? and p." + column + " = ? and u.env_id = ?"
		if c.ch.Match.OnlyUnassigned {
			where += " and u.unassigned"
		}
		l, err := c.s.users(ctx, c.tx, where+" order by u.id limit 1", c.env, value, c.env)
		if err != nil {
			return false, err
		}
		if len(l) == 0 {
			continue
		}
		c.u, err = c.s.user(ctx, c.tx, c.env, l[0].Identifier, c.s.dialect.forChange)
		if err == nil && c.u.Unassigned && c.ch.Match.OnlyUnassigned {
			c.ch.Rename = c.ch.Identifier
		}
		return err == nil, err
	}
	return false, nil
}

func (c *userChanging) create(ctx context.Context, id model.UserID) error {
	now := c.s.now()
	res, err := c.tx.NewRaw(`insert into users (env_id, id, identifier, enabled, unassigned, created_at, updated_at) values (?, ?, ?, true, ?, ?, ?)
		on conflict (env_id, identifier) do nothing`, c.env, id, c.ch.Identifier, c.ch.Unassigned, micros(now), micros(now)).Exec(ctx)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 { // another was quicker
		if c.ch.MustCreate {
			return model.Conflict("is taken by another user", "identifier")
		}
		c.u, err = c.s.user(ctx, c.tx, c.env, c.ch.Identifier, c.s.dialect.forChange)
		return err
	}
	c.out.Created = true
	c.u = model.User{
		ID: id, EnvID: c.env, Identifier: c.ch.Identifier, Enabled: true, Kind: model.UserPerson, Unassigned: c.ch.Unassigned,
		Profile: model.Profile{Version: 1}, SignedUpAt: now, CreatedAt: now, UpdatedAt: now,
	}
	return nil
}

func (c *userChanging) profile(ctx context.Context) error {
	attributes := c.u.Profile.Attributes
	if c.ch.Merge != nil {
		var problems []model.Problem
		var err error
		if attributes, problems, err = c.ch.Merge(0, attributes); err != nil {
			return err
		}
		if len(problems) > 0 {
			return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: problems}
		}
	}
	if attributes == nil {
		attributes = model.InitialAttributes(c.u.Identifier)
	}
	if !c.out.Created {
		if bytes.Equal(attributes, c.u.Profile.Attributes) {
			return nil
		}
		c.u.Profile.Version++
		c.u.UpdatedAt = c.s.now()
	}
	c.u.Profile.Attributes = attributes
	return saveProfiles(ctx, c.tx, []*model.User{&c.u})
}

// columns writes the row of the user, and keeps an identifier that is left.
func (c *userChanging) columns(ctx context.Context) error {
	u, now := &c.u, c.s.now()
	set(&u.Enabled, c.ch.Enabled)
	set(&u.Kind, c.ch.Kind)
	set(&u.Archived, c.ch.Archived)
	set(&u.SignedUpAt, c.ch.SignedUpAt)
	if c.ch.Rename != "" && c.ch.Rename != u.Identifier {
		if err := c.s.rename(ctx, c.tx, *u, c.ch.Rename); err != nil {
			return err
		}
		u.Identifier, u.Unassigned = c.ch.Rename, false
	}
	if u.Enabled == c.was.Enabled && u.Kind == c.was.Kind && u.Archived == c.was.Archived && u.Identifier == c.was.Identifier &&
		u.SignedUpAt.Equal(c.was.SignedUpAt) && u.Profile.Version == c.was.Profile.Version {
		return nil
	}
	c.changed, u.UpdatedAt = true, now
	signedUp := sql.NullInt64{Int64: micros(u.SignedUpAt), Valid: !u.SignedUpAt.Equal(u.CreatedAt)}
	_, err := c.tx.NewRaw(`update users set identifier = ?, enabled = ?, kind = ?, unassigned = ?, signed_up_at = ?, updated_at = ?,
			archived_at = case when ? then coalesce(archived_at, ?) end
		where env_id = ? and id = ?`,
		u.Identifier, u.Enabled, u.Kind, u.Unassigned, signedUp, micros(now), u.Archived, micros(now), c.env, u.ID).Exec(ctx)
	if c.s.dialect.isUnique(err) {
		return errTakenIdentifier
	}
	return err
}

var errTakenIdentifier = model.Conflict("is taken by another user", "newIdentifier")

// rename makes room for a user's new identifier and keeps the old one as an
// alias.
func (s *Store) rename(ctx context.Context, tx bun.Tx, u model.User, to string) error {
	there, err := s.user(ctx, tx, u.EnvID, to, "")
	switch {
	case err == nil && there.ID != u.ID:
		return errTakenIdentifier
	case err != nil && model.KindOf(err) != model.KindNotFound:
		return err
	}
	if _, err := tx.NewRaw("delete from user_aliases where env_id = ? and identifier = ?", u.EnvID, to).Exec(ctx); err != nil {
		return err
	}
	_, err = tx.NewRaw("insert into user_aliases (env_id, identifier, user_id, created_at) values (?, ?, ?, ?)", u.EnvID, u.Identifier, u.ID, micros(s.now())).Exec(ctx)
	return err
}

func (c *userChanging) devices(ctx context.Context) error {
	if c.ch.ForgetDevices == nil && len(c.ch.Devices) == 0 {
		return nil
	}
	all, err := c.s.devices(ctx, c.tx, " where env_id = ? and user_id = ?", c.env, c.u.ID)
	if err != nil {
		return err
	}
	if forget := c.ch.ForgetDevices; forget != nil {
		left := all[:0]
		for _, d := range all {
			if !forget(d) {
				left = append(left, d)
				continue
			}
			if _, err := c.tx.NewRaw("delete from devices where env_id = ? and user_id = ? and id = ?", c.env, c.u.ID, d.ID).Exec(ctx); err != nil {
				return err
			}
		}
		all = left
	}
	for _, save := range c.ch.Devices {
		was := save.Fresh
		was.EnvID, was.UserID, was.CreatedAt, was.Enabled = c.env, c.u.ID, c.s.now(), true
		if i := slices.IndexFunc(all, func(d model.Device) bool { return d.Key == was.Key }); i >= 0 {
			was = all[i]
		}
		d := save.Change(was)
		d.LastUsedAt = c.s.now()
		if err := c.s.saveDevice(ctx, c.tx, d); err != nil {
			return err
		}
	}
	return nil
}

func (c *userChanging) addresses(ctx context.Context) error {
	ref := model.UserRef{Env: c.env, ID: c.u.ID}
	if c.ch.Replace != nil {
		all, err := c.s.added(ctx, c.tx, ref)
		if err != nil {
			return err
		}
		for _, a := range all {
			if !c.ch.Replace(a) {
				continue
			}
			if _, err := c.tx.NewRaw("delete from addresses where env_id = ? and user_id = ? and id = ?", c.env, c.u.ID, a.ID).Exec(ctx); err != nil {
				return err
			}
		}
	}
	for i, in := range c.ch.Addresses {
		if _, err := c.s.addAddress(ctx, c.tx, ref, c.ch.NewIDs[i], in); err != nil {
			return err
		}
	}
	return nil
}

func (c *userChanging) topics(ctx context.Context) error {
	if len(c.ch.LeaveTopics) > 0 {
		if _, err := c.tx.NewRaw("delete from topic_members where env_id = ? and user_id = ? and topic_id in (?)", c.env, c.u.ID, bun.List(c.ch.LeaveTopics)).Exec(ctx); err != nil {
			return err
		}
	}
	if len(c.ch.Topics) == 0 {
		return nil
	}
	var ids []model.TopicID
	if err := c.tx.NewRaw("select id from topics where env_id = ? and id in (?) and archived_at is null order by id"+c.s.dialect.forKeep, c.env, bun.List(c.ch.Topics)).Scan(ctx, &ids); err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := c.s.putOnTopic(ctx, c.tx, model.Topic{EnvID: c.env, ID: id}, map[model.UserID]model.TopicMember{c.u.ID: {}}); err != nil {
			return err
		}
	}
	return nil
}

func (c *userChanging) accounts(ctx context.Context) error {
	if len(c.ch.Accounts) == 0 {
		return nil
	}
	return c.s.joinAll(ctx, c.tx, c.u, c.ch.Accounts)
}

// FormerIdentifiers lists the identifiers that a user had before, in the order
// of time.
func (s *Store) FormerIdentifiers(ctx context.Context, env model.EnvID, user model.UserID) ([]string, error) {
	out := []string{}
	err := s.r.NewRaw("select identifier from user_aliases where env_id = ? and user_id = ? order by created_at, identifier", env, user).Scan(ctx, &out)
	return out, s.fail("reading former identifiers", err)
}

// NoteProperties adds attributes to the environment's properties that are not
// among them yet.
func (s *Store) NoteProperties(ctx context.Context, env model.EnvID, types map[string]model.PropertyType) error {
	var rows values
	for name, t := range types {
		rows.row(env, name, t, true, micros(s.now()))
	}
	if rows.empty() {
		return nil
	}
	return s.write(ctx, "noting properties", func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewRaw("insert into properties (env_id, name, type, shown, first_seen_at) values "+rows.String()+" on conflict do nothing", rows.args...).Exec(ctx)
		return err
	})
}

// Properties lists the attributes that profiles of an environment have had, by
// name.
func (s *Store) Properties(ctx context.Context, env model.EnvID) ([]model.Property, error) {
	var rows []struct {
		Name        string
		Type        model.PropertyType
		Shown       bool
		FirstSeenAt int64
	}
	if err := s.r.NewRaw("select name, type, shown, first_seen_at from properties where env_id = ? order by name limit 1000", env).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading properties", err)
	}
	out := make([]model.Property, len(rows))
	for i, r := range rows {
		out[i] = model.Property{Name: r.Name, Type: r.Type, Shown: r.Shown, FirstSeenAt: at(r.FirstSeenAt)}
	}
	return out, nil
}

// PropertyTypes reads the types of those of the attributes that are properties of
// the environment.
func (s *Store) PropertyTypes(ctx context.Context, env model.EnvID, names []string) (map[string]model.PropertyType, error) {
	var rows []struct {
		Name string
		Type model.PropertyType
	}
	if err := s.r.NewRaw("select name, type from properties where env_id = ? and name in (?)", env, bun.List(names)).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading properties", err)
	}
	out := make(map[string]model.PropertyType, len(rows))
	for _, r := range rows {
		out[r.Name] = r.Type
	}
	return out, nil
}

// SetProperty makes a property, or changes whether it is shown. The type of one
// that is there stays.
func (s *Store) SetProperty(ctx context.Context, env model.EnvID, o model.Once, p model.Property) (model.Outcome[model.Property], error) {
	return once(ctx, s, env, o, "changing property", func(ctx context.Context, tx bun.Tx) (model.Property, error) {
		var row struct {
			Type        model.PropertyType
			FirstSeenAt int64
		}
		err := tx.NewRaw(`insert into properties (env_id, name, type, shown, first_seen_at) values (?, ?, ?, ?, ?)
			on conflict (env_id, name) do update set shown = excluded.shown returning type, first_seen_at`,
			env, p.Name, p.Type, p.Shown, micros(s.now())).Scan(ctx, &row)
		p.Type, p.FirstSeenAt = row.Type, at(row.FirstSeenAt)
		return p, err
	})
}

// decodedOrNil is JSON of the database, nil for none.
func decodedOrNil(v sql.NullString) json.RawMessage {
	if !v.Valid {
		return nil
	}
	return json.RawMessage(v.String)
}
