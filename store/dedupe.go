package store

import (
	"cmp"
	"context"
	"slices"

	"github.com/uptrace/bun"

	"carillon/model"
)

// dedupeClaim is a key that a send wants for a user.
type dedupeClaim struct {
	holder
	until int64
	send  model.SendID
}

// deduplicate takes the dedupe keys of sends for their recipients, and returns
// the sends without those recipients whose key is taken, each of which it
// reports. The keys are taken in order, so that transactions with the same ones
// wait for each other.
func (s *Store) deduplicate(ctx context.Context, tx bun.Tx, sends []*model.PendingSend, report func(model.SendID, map[model.UserID]string)) ([]*model.PendingSend, error) {
	now := s.now()
	var (
		claims []dedupeClaim
		first  = map[holder]bool{}
		losers = map[model.SendID][]model.UserID{}
	)
	for _, p := range sends {
		if p.Options.DedupeKey == "" {
			continue
		}
		for _, n := range p.Notifications {
			h := holder{inboxKey{n.EnvID, n.UserID}, p.Options.DedupeKey}
			if first[h] { // two sends of one commit: the earlier one has it
				losers[p.Send.ID] = append(losers[p.Send.ID], n.UserID)
				continue
			}
			first[h] = true
			claims = append(claims, dedupeClaim{h, micros(now.Add(p.Options.DedupeWithin)), p.Send.ID})
		}
	}
	if len(claims) == 0 {
		return sends, nil
	}
	won, err := claimDedupes(ctx, tx, claims, micros(now))
	if err != nil {
		return nil, err
	}
	for _, c := range claims {
		if !won[c.holder] {
			losers[c.send] = append(losers[c.send], c.user)
		}
	}
	out := slices.Clone(sends)
	for i, p := range out {
		ids := losers[p.Send.ID]
		if len(ids) == 0 {
			continue
		}
		twice, err := identifiers(ctx, tx, p.Send.EnvID, ids)
		if err != nil {
			return nil, err
		}
		report(p.Send.ID, twice)
		without := p.Without(twice)
		out[i] = &without
	}
	return out, nil
}

// claimDedupes takes keys that are free, or whose time is over.
func claimDedupes(ctx context.Context, tx bun.IDB, claims []dedupeClaim, now int64) (map[holder]bool, error) {
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b dedupeClaim) int { return cmp.Or(a.compare(b.inboxKey), cmp.Compare(a.key, b.key)) })
	won := make(map[holder]bool, len(claims))
	for chunk := range slices.Chunk(claims, saveChunk/4) {
		var list values
		for _, c := range chunk {
			list.row(c.env, c.user, c.key, c.until)
		}
		var h holder
		rows, err := tx.QueryContext(ctx, "insert into dedupes (env_id, user_id, key, until) values "+list.String()+`
			on conflict (env_id, user_id, key) do update set until = excluded.until where dedupes.until <= ? returning env_id, user_id, key`, append(list.args, now)...)
		err = scanEach(rows, err, []any{&h.env, &h.user, &h.key}, func() error {
			won[h] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return won, nil
}

// identifiers reads those of users.
func identifiers(ctx context.Context, tx bun.IDB, env model.EnvID, ids []model.UserID) (map[model.UserID]string, error) {
	out := make(map[model.UserID]string, len(ids))
	var (
		id   model.UserID
		name string
	)
	rows, err := tx.QueryContext(ctx, "select id, identifier from users where env_id = ? and id in (?)", env, bun.List(ids))
	err = scanEach(rows, err, []any{&id, &name}, func() error {
		out[id] = name
		return nil
	})
	return out, err
}

// forgetDedupes drops keys whose time is over.
func forgetDedupes(ctx context.Context, tx bun.IDB, now int64, limit int) error {
	_, err := tx.NewRaw(`delete from dedupes where (env_id, user_id, key) in (
		select env_id, user_id, key from dedupes where until <= ? order by until limit ?)`, now, limit).Exec(ctx)
	return err
}
