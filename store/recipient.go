package store

import (
	"context"
	"database/sql"

	"github.com/uptrace/bun"

	"carillon/model"
)

// recipientChunk bounds the users that one statement asks for.
const recipientChunk = 5000

// recipientRow is a user with one of their choices, or none.
type recipientRow struct {
	EnvID      model.EnvID
	ID         model.UserID
	Identifier string
	Enabled    bool
	CategoryID sql.NullInt64
	Channel    sql.NullInt16
	Chosen     sql.NullBool
	ChosenAt   sql.NullInt64
	HasEmail   bool
	HasPhone   bool
	HasMobile  bool
	HasWeb     bool
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
	var byName, byID values
	for _, k := range keys {
		if k.Identifier != "" {
			byName.row(k.Env, k.Identifier)
		} else {
			byID.row(k.Env, k.ID)
		}
	}
	found := make(map[model.RecipientKey]*model.Recipient, len(keys))
	if !byName.empty() {
		rows, err := s.recipientRows(ctx, "identifier", &byName, q)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			r.addTo(found, model.RecipientKey{Env: r.EnvID, Identifier: r.Identifier})
		}
	}
	if !byID.empty() {
		rows, err := s.recipientRows(ctx, "id", &byID, q)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			r.addTo(found, model.RecipientKey{Env: r.EnvID, ID: r.ID})
		}
	}
	return found, nil
}

func (s *Store) recipientRows(ctx context.Context, column string, keys *values, q model.RecipientQuery) ([]recipientRow, error) {
	addresses, join := "false as has_email, false as has_phone, false as has_mobile, false as has_web", ""
	if q.Addresses {
		addresses = `f.email is not null as has_email, f.phone_number is not null as has_phone,
			exists (select 1 from devices d where d.env_id = u.env_id and d.user_id = u.id and d.platform <> 'WEB' and d.token <> '') as has_mobile,
			exists (select 1 from devices d where d.env_id = u.env_id and d.user_id = u.id and d.platform = 'WEB' and (d.token <> '' or d.web_push is not null)) as has_web`
		join = " left join profiles f on f.env_id = u.env_id and f.user_id = u.id"
	}
	categories := append([]model.CategoryID{0}, q.Categories...)
	var rows []recipientRow
	err := s.r.NewRaw(`with k (env_id, `+column+`) as (values `+keys.String()+`)
		select u.env_id, u.id, u.identifier, u.enabled, p.category_id, p.channel, p.enabled as chosen, p.updated_at as chosen_at, `+addresses+`
		from k join users u on u.env_id = k.env_id and u.`+column+` = k.`+column+join+`
		left join preferences p on p.env_id = u.env_id and p.user_id = u.id and p.category_id in (?)`,
		append(keys.args, bun.List(categories))...).Scan(ctx, &rows)
	return rows, err
}

// addTo puts the user, or one more choice of theirs, under the key.
func (r recipientRow) addTo(found map[model.RecipientKey]*model.Recipient, k model.RecipientKey) {
	m := found[k]
	if m == nil {
		m = &model.Recipient{ID: r.ID, Identifier: r.Identifier, Enabled: r.Enabled, Reachable: r.reachable()}
		found[k] = m
	}
	if r.Channel.Valid {
		m.Choices = append(m.Choices, model.Choice{
			Category: model.CategoryID(r.CategoryID.Int64), Channel: model.Channel(r.Channel.Int16),
			Enabled: r.Chosen.Bool, UpdatedAt: nullAt(r.ChosenAt),
		})
	}
}

var inAppOnly = []model.Channel{model.ChannelInApp}

// reachable lists the channels for which the user has an address. It is
// shared where it is the common one: nobody writes to it.
func (r recipientRow) reachable() []model.Channel {
	out := inAppOnly[:1:1]
	if r.HasEmail {
		out = append(out, model.ChannelEmail)
	}
	if r.HasPhone {
		out = append(out, model.ChannelSMS, model.ChannelWhatsApp)
	}
	if r.HasMobile {
		out = append(out, model.ChannelMobilePush)
	}
	if r.HasWeb {
		out = append(out, model.ChannelWebPush)
	}
	if r.HasPhone {
		out = append(out, model.ChannelVoice)
	}
	return out
}
