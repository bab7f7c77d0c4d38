package store

import (
	"context"
	"database/sql"

	"carillon/model"
)

// recipientChunk bounds the users that one statement asks for.
const recipientChunk = 5000

// recipientRow is a user with one of their choices, or none.
type recipientRow struct {
	env         model.EnvID
	id          model.UserID
	identifier  string
	enabled     bool
	category    sql.NullInt64
	channel     sql.NullInt16
	chosen      sql.NullBool
	chosenAt    sql.NullInt64
	email       bool
	phone       bool
	mobileToken bool
	webToken    bool
	added       sql.NullString // see addedReach
}

func (r *recipientRow) into() []any {
	return []any{&r.env, &r.id, &r.identifier, &r.enabled, &r.category, &r.channel, &r.chosen, &r.chosenAt, &r.email, &r.phone, &r.mobileToken, &r.webToken, &r.added}
}

// Recipients reads users as sends see them, one for each key of q in its
// order. A key that names no user gives a recipient whose ID is zero.
func (s *Store) Recipients(ctx context.Context, q model.RecipientQuery) ([]model.Recipient, error) {
	out := make([]model.Recipient, len(q.Keys))
	wanted := make(map[model.RecipientKey][]int, len(q.Keys))
	keys := make([]model.RecipientKey, 0, len(q.Keys))
	for i, k := range q.Keys {
		if k.Identifier != "" {
			k.ID = 0
		}
		if wanted[k] == nil {
			keys = append(keys, k)
		}
		wanted[k] = append(wanted[k], i)
	}
	for len(keys) > 0 {
		n := min(len(keys), recipientChunk)
		found, err := s.recipients(ctx, keys[:n], q)
		if err != nil {
			return nil, s.fail("reading recipients", err)
		}
		for k, r := range found {
			for _, i := range wanted[k] {
				out[i] = *r
			}
		}
		keys = keys[n:]
	}
	return out, nil
}

// recipients reads the users that keys name, by the key that names them.
func (s *Store) recipients(ctx context.Context, keys []model.RecipientKey, q model.RecipientQuery) (map[model.RecipientKey]*model.Recipient, error) {
	var named, numbered []model.RecipientKey
	for _, k := range keys {
		if k.Identifier != "" {
			named = append(named, k)
		} else {
			numbered = append(numbered, k)
		}
	}
	found := make(map[model.RecipientKey]*model.Recipient, len(keys))
	if len(named) > 0 {
		identifiers := column(named, func(k model.RecipientKey) string { return k.Identifier })
		if err := s.scanRecipients(ctx, named, "identifier", identifiers, q, func(r *recipientRow) {
			r.addTo(found, model.RecipientKey{Env: r.env, Identifier: r.identifier})
		}); err != nil {
			return nil, err
		}
		if err := s.addFormer(ctx, named, q, found); err != nil {
			return nil, err
		}
	}
	if len(numbered) > 0 {
		ids := column(numbered, func(k model.RecipientKey) int64 { return int64(k.ID) })
		if err := s.scanRecipients(ctx, numbered, "id", ids, q, func(r *recipientRow) {
			r.addTo(found, model.RecipientKey{Env: r.env, ID: r.id})
		}); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// addFormer adds users whom keys name by an identifier that they had before.
func (s *Store) addFormer(ctx context.Context, named []model.RecipientKey, q model.RecipientQuery, found map[model.RecipientKey]*model.Recipient) error {
	var missing []model.RecipientKey
	for _, k := range named {
		if found[k] == nil {
			missing = append(missing, k)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	wanted, args, _, err := s.dialect.table(1, column(missing, func(k model.RecipientKey) int64 { return int64(k.Env) }), column(missing, func(k model.RecipientKey) string { return k.Identifier }))
	if err != nil {
		return err
	}
	rows, err := s.query(ctx, `with k (env_id, name) as (`+wanted+`)
		select a.env_id, a.identifier, a.user_id from k cross join user_aliases a where a.env_id = k.env_id and a.identifier = k.name`, args...)
	var (
		is     model.RecipientKey
		now    = map[model.RecipientKey]model.RecipientKey{}
		by     []model.RecipientKey
		former []model.RecipientKey
	)
	if err := scanEach(rows, err, []any{&is.Env, &is.Identifier, &is.ID}, func() error {
		by, former = append(by, model.RecipientKey{Env: is.Env, ID: is.ID}), append(former, model.RecipientKey{Env: is.Env, Identifier: is.Identifier})
		return nil
	}); err != nil || len(by) == 0 {
		return err
	}
	for i, k := range former {
		now[k] = by[i]
	}
	users := map[model.RecipientKey]*model.Recipient{}
	if err := s.scanRecipients(ctx, by, "id", column(by, func(k model.RecipientKey) int64 { return int64(k.ID) }), q, func(r *recipientRow) {
		r.addTo(users, model.RecipientKey{Env: r.env, ID: r.id})
	}); err != nil {
		return err
	}
	for k, id := range now {
		if r := users[id]; r != nil {
			found[k] = r
		}
	}
	return nil
}

// scanRecipients reads the users that keys name, names being their column of
// the users table, with one row for each of their choices.
func (s *Store) scanRecipients(ctx context.Context, keys []model.RecipientKey, name string, names any, q model.RecipientQuery, each func(*recipientRow)) error {
	addresses, join := "false, false, false, false, null", ""
	if q.Addresses {
		addresses = `f.email is not null, f.phone_number is not null,
			exists (select 1 from devices d where d.env_id = u.env_id and d.user_id = u.id and d.platform <> 'WEB' and d.token <> '' and d.enabled),
			exists (select 1 from devices d where d.env_id = u.env_id and d.user_id = u.id and d.platform = 'WEB' and d.push_key <> '' and d.enabled),
			(select string_agg(a.channel || case when a.enabled then '+' else '-' end, ',') from addresses a where a.env_id = u.env_id and a.user_id = u.id)`
		join = " left join profiles f on f.env_id = u.env_id and f.user_id = u.id"
	}
	envs := column(keys, func(k model.RecipientKey) int64 { return int64(k.Env) })
	wanted, args, next, err := s.dialect.table(1, envs, names)
	if err != nil {
		return err
	}
	categories := append([]int64{0}, column(q.Categories, func(c model.CategoryID) int64 { return int64(c) })...)
	relevant, more, _, err := s.dialect.table(next, categories)
	if err != nil {
		return err
	}
	// A cross join is one that SQLite does not turn around: the list leads into
	// the index of users.
	rows, err := s.query(ctx, `with k (env_id, name) as (`+wanted+`)
		select u.env_id, u.id, u.identifier, u.enabled, p.category_id, p.channel, p.enabled, p.updated_at, `+addresses+`
		from k cross join users u`+join+`
		left join preferences p on p.env_id = u.env_id and p.user_id = u.id and p.category_id in (`+relevant+`)
		where u.env_id = k.env_id and u.`+name+` = k.name`, append(args, more...)...)
	var r recipientRow
	return scanEach(rows, err, r.into(), func() error {
		each(&r)
		return nil
	})
}

// addTo puts the user, or one more choice of theirs, under the key.
func (r *recipientRow) addTo(found map[model.RecipientKey]*model.Recipient, k model.RecipientKey) {
	m := found[k]
	if m == nil {
		m = &model.Recipient{ID: r.id, Identifier: r.identifier, Enabled: r.enabled, Reachable: r.reachable()}
		found[k] = m
	}
	if r.channel.Valid {
		m.Choices = append(m.Choices, model.Choice{
			Category: model.CategoryID(r.category.Int64), Channel: model.Channel(r.channel.Int16),
			Enabled: r.chosen.Bool, UpdatedAt: nullAt(r.chosenAt),
		})
	}
}

var inAppOnly = []model.Channel{model.ChannelInApp}

// reachable lists the channels for which the user has an address. It is
// shared where it is the common one: nobody writes to it.
func (r *recipientRow) reachable() []model.Channel {
	out := inAppOnly[:1:1]
	added, enabled := addedReach(r.added.String)
	add := func(c model.Channel, otherwise bool) {
		if otherwise || enabled[c] {
			out = append(out, c)
		}
	}
	add(model.ChannelEmail, r.email)
	add(model.ChannelSMS, r.phone)
	add(model.ChannelWhatsApp, r.phone && !added[model.ChannelWhatsApp])
	add(model.ChannelMobilePush, r.mobileToken)
	add(model.ChannelWebPush, r.webToken)
	for c := model.ChannelSlack; c <= model.ChannelWebhook; c++ {
		add(c, c == model.ChannelVoice && r.phone && !added[c])
	}
	return out
}
