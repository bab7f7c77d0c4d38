package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

type suppressionRow struct {
	EnvID     model.EnvID
	ID        model.SuppressionID
	Channel   int16
	Address   string
	Reason    model.SuppressionReason
	Detail    string
	CreatedAt int64
	ExpiresAt int64
}

const suppressionColumns = "env_id, id, channel, address, reason, detail, created_at, expires_at"

func (r suppressionRow) model() model.Suppression {
	return model.Suppression{
		ID: r.ID, EnvID: r.EnvID, Channel: model.Channel(r.Channel), Address: r.Address, Reason: r.Reason, Detail: r.Detail,
		CreatedAt: at(r.CreatedAt), ExpiresAt: atUnlessZero(r.ExpiresAt),
	}
}

// Suppressed says which of the addresses nothing is sent to.
func (s *Store) Suppressed(ctx context.Context, addresses []model.ChannelAddress) (map[model.ChannelAddress]bool, error) {
	out := map[model.ChannelAddress]bool{}
	for chunk := range slices.Chunk(addresses, saveChunk) {
		var list values
		byHash := make(map[string]model.ChannelAddress, len(chunk))
		key := func(env model.EnvID, c int16, hash string) string { return fmt.Sprint(env, c, hash) }
		for _, a := range chunk {
			hash := model.AddressHash(a.Address)
			byHash[key(a.Env, int16(a.Channel), hash)] = a
			list.row(a.Env, int16(a.Channel), hash)
		}
		var (
			env     model.EnvID
			channel int16
			hash    string
		)
		rows, err := s.r.QueryContext(ctx, `with x (env_id, channel, hash) as (values `+list.String()+`)
			select s.env_id, s.channel, s.hash from x cross join suppressions s
			where s.env_id = x.env_id and s.channel = x.channel and s.hash = x.hash and (s.expires_at = 0 or s.expires_at > ?)`, append(list.args, micros(s.now()))...)
		err = scanEach(rows, err, []any{&env, &channel, &hash}, func() error {
			out[byHash[key(env, channel, hash)]] = true
			return nil
		})
		if err != nil {
			return nil, s.fail("reading suppressions", err)
		}
	}
	return out, nil
}

// suppress writes a suppression, in place of an earlier one of the address,
// whose id stays.
func (s *Store) suppress(ctx context.Context, tx bun.IDB, m model.Suppression) error {
	_, err := tx.NewRaw(`insert into suppressions (env_id, channel, hash, id, address, reason, detail, created_at, expires_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)
		on conflict (env_id, channel, hash) do update set reason = excluded.reason, detail = excluded.detail, created_at = excluded.created_at, expires_at = excluded.expires_at`,
		m.EnvID, int16(m.Channel), model.AddressHash(m.Address), m.ID, m.Address, m.Reason, m.Detail, micros(m.CreatedAt), zeroMicros(m.ExpiresAt)).Exec(ctx)
	return err
}

// Suppress has nothing sent to an address. One that is suppressed already keeps
// its id and gets the new reason and expiry.
func (s *Store) Suppress(ctx context.Context, o model.Once, m model.Suppression) (model.Outcome[model.Suppression], error) {
	return once(ctx, s, m.EnvID, o, "suppressing address", func(ctx context.Context, tx bun.Tx) (model.Suppression, error) {
		m.CreatedAt = s.now()
		if err := s.suppress(ctx, tx, m); err != nil {
			return m, err
		}
		list, err := s.suppressions(ctx, tx, "where env_id = ? and channel = ? and hash = ?", m.EnvID, int16(m.Channel), model.AddressHash(m.Address))
		if err != nil {
			return m, err
		}
		return list[0], nil
	})
}

// Unsuppress ends a suppression and returns what it was.
func (s *Store) Unsuppress(ctx context.Context, env model.EnvID, o model.Once, id model.SuppressionID) (model.Outcome[model.Suppression], error) {
	return once(ctx, s, env, o, "removing suppression", func(ctx context.Context, tx bun.Tx) (model.Suppression, error) {
		var rows []suppressionRow
		if err := tx.NewRaw("delete from suppressions where env_id = ? and id = ? returning "+suppressionColumns, env, id).Scan(ctx, &rows); err != nil {
			return model.Suppression{}, err
		}
		if len(rows) == 0 {
			return model.Suppression{}, model.NotFound("names no suppression in this environment", "id")
		}
		return rows[0].model(), nil
	})
}

// ListSuppressions reads a page of the suppressions of an environment, newest
// first. The keys of its pages are CreatedAt and, as text, the id.
func (s *Store) ListSuppressions(ctx context.Context, env model.EnvID, f model.SuppressionFilter, page model.PageRequest) (model.Page[model.Suppression], error) {
	where := conditions{}
	where.add("env_id = ?", env)
	if f.Channel != 0 {
		where.add("channel = ?", int16(f.Channel))
	}
	if f.Reason != "" {
		where.add("reason = ?", f.Reason)
	}
	if f.Address != "" {
		where.add("hash = ?", model.AddressHash(f.Address))
	}
	if k := page.After; k != nil {
		where.add("(created_at, id) < (?, ?)", micros(k.At), k.Text)
	}
	if k := page.Before; k != nil {
		where.add("(created_at, id) > (?, ?)", micros(k.At), k.Text)
	}
	direction := "desc"
	if page.Backward {
		direction = "asc"
	}
	list, err := s.suppressions(ctx, s.r, fmt.Sprintf("%s order by created_at %s, id %[2]s limit %d", where.sql(), direction, page.Limit+1), where.args...)
	if err != nil {
		return model.Page[model.Suppression]{}, s.fail("listing suppressions", err)
	}
	out := model.Page[model.Suppression]{Items: list, HasMore: len(list) > page.Limit}
	if out.HasMore {
		out.Items = list[:page.Limit]
	}
	if page.Backward {
		slices.Reverse(out.Items)
	}
	return out, nil
}

func (s *Store) suppressions(ctx context.Context, db bun.IDB, rest string, args ...any) ([]model.Suppression, error) {
	var rows []suppressionRow
	if err := db.NewRaw("select "+suppressionColumns+" from suppressions "+rest, args...).Scan(ctx, &rows); err != nil {
		return nil, err
	}
	return column(rows, suppressionRow.model), nil
}
