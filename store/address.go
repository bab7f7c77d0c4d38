package store

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// addressChunk bounds the users that one statement asks for.
const addressChunk = 5000

// Addresses reads how users, of any environments, can be reached: what their
// profiles and devices say and what was added to them, disabled ones included.
// Those of one user are in the order of channels, and within one the profile's
// first, then the last used ones. Users who have none, or do not exist, are
// absent.
func (s *Store) Addresses(ctx context.Context, users []model.UserRef) (map[model.UserRef][]model.Address, error) {
	out := make(map[model.UserRef][]model.Address, len(users))
	for chunk := range slices.Chunk(users, addressChunk) {
		if err := s.addAddresses(ctx, chunk, out); err != nil {
			return nil, s.fail("reading addresses", err)
		}
	}
	for user, all := range out {
		out[user] = arrangeAddresses(all)
	}
	return out, nil
}

func (s *Store) addAddresses(ctx context.Context, users []model.UserRef, out map[model.UserRef][]model.Address) error {
	envs := column(users, func(u model.UserRef) int64 { return int64(u.Env) })
	ids := column(users, func(u model.UserRef) int64 { return int64(u.ID) })
	wanted, args, _, err := s.dialect.table(1, envs, ids)
	if err != nil {
		return err
	}
	// Cross joins, so that SQLite goes from the list to the tables.
	rows, err := s.query(ctx, `with k (env_id, user_id) as (`+wanted+`)
		select p.env_id, p.user_id, 'PROFILE', '', 2, p.email, '', '', true, 0, 0
			from k cross join profiles p where p.env_id = k.env_id and p.user_id = k.user_id and p.email is not null
		union all select p.env_id, p.user_id, 'PROFILE', '', 3, p.phone_number, '', '', true, 0, 0
			from k cross join profiles p where p.env_id = k.env_id and p.user_id = k.user_id and p.phone_number is not null
		union all select d.env_id, d.user_id, 'DEVICE', d.id, case when d.platform = 'WEB' then 6 else 5 end, coalesce(d.web_push, d.token),
				d.platform, d.provider, d.enabled, d.created_at, d.last_used_at
			from k cross join devices d where d.env_id = k.env_id and d.user_id = k.user_id and d.push_key <> ''
		union all select a.env_id, a.user_id, 'ADDED', a.id, a.channel, a.address, a.platform, a.provider, a.enabled, a.created_at, a.last_used_at
			from k cross join addresses a where a.env_id = k.env_id and a.user_id = k.user_id`, args...)
	var (
		a             model.Address
		id            string
		channel       int16
		created, used int64
	)
	return scanEach(rows, err, []any{&a.EnvID, &a.UserID, &a.Source, &id, &channel, &a.Value, &a.Platform, &a.Provider, &a.Enabled, &created, &used}, func() error {
		a.ID, a.DeviceID, a.Channel = "", "", model.Channel(channel)
		a.CreatedAt, a.LastUsedAt = time.Time{}, time.Time{}
		switch a.Source {
		case model.AddressProfile:
		case model.AddressDevice:
			a.DeviceID = model.DeviceID(id)
		case model.AddressAdded:
			a.ID = model.AddressID(id)
		}
		if a.Source != model.AddressProfile {
			a.CreatedAt, a.LastUsedAt = at(created), at(used)
		}
		user := model.UserRef{Env: a.EnvID, ID: a.UserID}
		out[user] = append(out[user], a)
		return nil
	})
}

// arrangeAddresses puts the addresses of one user in order, lets the phone
// number stand for the channels that nothing was added for, and leaves out what
// is there twice.
func arrangeAddresses(all []model.Address) []model.Address {
	added := map[model.Channel]bool{}
	for _, a := range all {
		if a.Source == model.AddressAdded {
			added[a.Channel] = true
		}
	}
	for _, a := range slices.Clone(all) {
		if a.Source == model.AddressProfile && a.Channel == model.ChannelSMS {
			for _, c := range phoneStandsFor {
				if !added[c] {
					a.Channel = c
					all = append(all, a)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b model.Address) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(sourceOrder(a.Source), sourceOrder(b.Source)),
			b.LastUsedAt.Compare(a.LastUsedAt), -cmp.Compare(a.ID, b.ID), -cmp.Compare(a.DeviceID, b.DeviceID))
	})
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(a model.Address) bool {
		key := a.Channel.String() + " " + a.Value
		twice := seen[key]
		seen[key] = true
		return twice
	})
}

// phoneStandsFor are the channels besides SMS that a profile's phone number
// serves while nothing was added for them.
var phoneStandsFor = []model.Channel{model.ChannelWhatsApp, model.ChannelVoice}

func sourceOrder(s model.AddressSource) int {
	if s == model.AddressProfile {
		return 0
	}
	return 1
}

// AddAddress adds an address to a user. One of the channel that is the same is
// changed instead and keeps its id. More than model.MaxAddresses are refused
// with a KindLimit error.
func (s *Store) AddAddress(ctx context.Context, o model.Once, user model.UserRef, id model.AddressID, in model.NewAddress) (model.Outcome[model.Address], error) {
	return once(ctx, s, user.Env, o, "adding address", func(ctx context.Context, tx bun.Tx) (model.Address, error) {
		if err := s.lockUser(ctx, tx, user.Env, user.ID); err != nil {
			return model.Address{}, err
		}
		return s.addAddress(ctx, tx, user, id, in)
	})
}

// addAddress works on a user whose row is locked.
func (s *Store) addAddress(ctx context.Context, tx bun.Tx, user model.UserRef, id model.AddressID, in model.NewAddress) (model.Address, error) {
	all, err := s.added(ctx, tx, user)
	if err != nil {
		return model.Address{}, err
	}
	now := s.now()
	a := model.Address{ID: id, EnvID: user.Env, UserID: user.ID, Channel: in.Channel, Source: model.AddressAdded, Value: in.Value, Enabled: true, CreatedAt: now}
	i := slices.IndexFunc(all, func(is model.Address) bool { return is.Channel == in.Channel && is.Value == in.Value })
	switch {
	case i >= 0:
		a = all[i]
	case len(all) >= model.MaxAddresses:
		return a, model.Errorf(model.KindLimit, "a user has at most %d addresses besides the profile's and the devices'; remove one first", model.MaxAddresses)
	}
	a.Platform, a.Provider, a.LastUsedAt = in.Platform, in.Provider, now
	if in.Enabled != nil {
		a.Enabled = *in.Enabled
	}
	_, err = tx.NewRaw(`insert into addresses (env_id, user_id, id, channel, address, platform, provider, enabled, created_at, last_used_at)
		values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (env_id, user_id, id) do update set platform = excluded.platform, provider = excluded.provider, enabled = excluded.enabled, last_used_at = excluded.last_used_at`,
		a.EnvID, a.UserID, a.ID, int16(a.Channel), a.Value, a.Platform, a.Provider, a.Enabled, micros(a.CreatedAt), micros(a.LastUsedAt)).Exec(ctx)
	return a, err
}

// SetAddressEnabled enables or disables an address that was added to a user.
func (s *Store) SetAddressEnabled(ctx context.Context, o model.Once, user model.UserRef, id model.AddressID, enabled bool) (model.Outcome[model.Address], error) {
	return once(ctx, s, user.Env, o, "changing address", func(ctx context.Context, tx bun.Tx) (model.Address, error) {
		if err := s.lockUser(ctx, tx, user.Env, user.ID); err != nil {
			return model.Address{}, err
		}
		all, err := s.added(ctx, tx, user)
		if err != nil {
			return model.Address{}, err
		}
		i := slices.IndexFunc(all, func(a model.Address) bool { return a.ID == id })
		if i < 0 {
			return model.Address{}, errNoAddress
		}
		all[i].Enabled = enabled
		_, err = tx.NewRaw("update addresses set enabled = ? where env_id = ? and user_id = ? and id = ?", enabled, user.Env, user.ID, id).Exec(ctx)
		return all[i], err
	})
}

// RemoveAddress removes an address that was added to a user.
func (s *Store) RemoveAddress(ctx context.Context, o model.Once, user model.UserRef, id model.AddressID) (model.Outcome[model.AddressID], error) {
	return once(ctx, s, user.Env, o, "removing address", func(ctx context.Context, tx bun.Tx) (model.AddressID, error) {
		var ids []model.AddressID
		err := tx.NewRaw("delete from addresses where env_id = ? and user_id = ? and id = ? returning id", user.Env, user.ID, id).Scan(ctx, &ids)
		if err == nil && len(ids) == 0 {
			err = errNoAddress
		}
		return id, err
	})
}

var errNoAddress = model.NotFound("names no address that was added to this user", "addressId")

// added reads the addresses that were added to a user, in the order of ids.
func (s *Store) added(ctx context.Context, db bun.IDB, user model.UserRef) ([]model.Address, error) {
	var rows []struct {
		ID         model.AddressID
		Channel    int16
		Address    string
		Platform   model.Platform
		Provider   string
		Enabled    bool
		CreatedAt  int64
		LastUsedAt int64
	}
	if err := db.NewRaw(`select id, channel, address, platform, provider, enabled, created_at, last_used_at
		from addresses where env_id = ? and user_id = ? order by id`, user.Env, user.ID).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading addresses", err)
	}
	out := make([]model.Address, len(rows))
	for i, r := range rows {
		out[i] = model.Address{
			ID: r.ID, EnvID: user.Env, UserID: user.ID, Channel: model.Channel(r.Channel), Source: model.AddressAdded, Value: r.Address,
			Platform: r.Platform, Provider: r.Provider, Enabled: r.Enabled, CreatedAt: at(r.CreatedAt), LastUsedAt: at(r.LastUsedAt),
		}
	}
	return out, nil
}

// addedReach says for which channels addresses were added, and for which of
// these one is enabled, out of a list such as "2+,7-".
func addedReach(list string) (added, enabled map[model.Channel]bool) {
	if list == "" {
		return nil, nil
	}
	added, enabled = map[model.Channel]bool{}, map[model.Channel]bool{}
	for one := range strings.SplitSeq(list, ",") {
		name, on := strings.CutSuffix(one, "+")
		n, _ := strconv.Atoi(strings.TrimSuffix(name, "-")) // the database writes numbers
		c := model.Channel(n)
		added[c] = true
		enabled[c] = enabled[c] || on
	}
	return added, enabled
}
