package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// dedupeClaim is a key that a send wants for a user.
type dedupeClaim struct {
	holder
	until int64
	send  model.SendID
}

// deduplicate takes the dedupe keys of sends for whom they reach, and returns the
// sends without those whose key is taken, who are listed by send with their
// identifiers. The keys are taken in order, so that transactions with the same
// ones wait for each other. Sends that are stored already are counted anew there.
func (s *Store) deduplicate(ctx context.Context, tx bun.Tx, sends []*model.PendingSend) ([]*model.PendingSend, map[model.SendID]map[model.UserID]string, error) {
	now := s.now()
	claims, losers := dedupeClaims(sends, now)
	if len(claims) == 0 {
		return sends, nil, nil
	}
	won, err := claimDedupes(ctx, tx, claims, micros(now))
	if err != nil {
		return nil, nil, err
	}
	for _, c := range claims {
		if !won[c.holder] {
			losers[c.send] = append(losers[c.send], c.user)
		}
	}
	out, twice := slices.Clone(sends), make(map[model.SendID]map[model.UserID]string, len(losers))
	for i, p := range out {
		ids := losers[p.Send.ID]
		if len(ids) == 0 {
			continue
		}
		names, err := identifiers(ctx, tx, p.Send.EnvID, ids)
		if err != nil {
			return nil, nil, err
		}
		without := p.Without(names)
		out[i], twice[p.Send.ID] = &without, names
		if err := recount(ctx, tx, without); err != nil {
			return nil, nil, err
		}
	}
	return out, twice, nil
}

// dedupeClaims are the keys that sends want, and the users whom they lose to
// earlier ones of the same commit.
func dedupeClaims(sends []*model.PendingSend, now time.Time) (claims []dedupeClaim, losers map[model.SendID][]model.UserID) {
	first := map[holder]bool{}
	losers = map[model.SendID][]model.UserID{}
	for _, p := range sends {
		if p.Options.DedupeKey == "" {
			continue
		}
		until := micros(now.Add(p.Options.DedupeWithin))
		outside := reachedOutside(p)
		for i := range p.Notifications {
			n := &p.Notifications[i]
			if !n.InInbox && !outside[n.ID] {
				continue // who is not sent anything has not been sent it
			}
			h := holder{inboxKey{n.EnvID, n.UserID}, p.Options.DedupeKey}
			if first[h] {
				losers[p.Send.ID] = append(losers[p.Send.ID], n.UserID)
				continue
			}
			first[h] = true
			claims = append(claims, dedupeClaim{h, until, p.Send.ID})
		}
	}
	return claims, losers
}

// reachedOutside are the notifications of a send that go out over other channels
// than the inbox.
func reachedOutside(p *model.PendingSend) map[model.NotificationID]bool {
	out := make(map[model.NotificationID]bool, len(p.Deliveries))
	for i := range p.Deliveries {
		if d := &p.Deliveries[i]; d.State != model.DeliverySkipped {
			out[d.NotificationID] = true
		}
	}
	return out
}

// recount puts the progress of a send right that was stored before it was known
// who is left out.
func recount(ctx context.Context, tx bun.IDB, p model.PendingSend) error {
	if !p.Fire {
		return nil
	}
	m := p.Send
	_, err := tx.NewRaw("update sends set done = ?, skipped = ? where env_id = ? and id = ?", m.Progress.Done, m.Progress.Skipped, m.EnvID, m.ID).Exec(ctx)
	return err
}

// claimDedupes takes keys that are free, or whose time is over.
func claimDedupes(ctx context.Context, tx bun.IDB, claims []dedupeClaim, now int64) (map[holder]bool, error) {
	claims = slices.Clone(claims)
	slices.SortFunc(claims, func(a, b dedupeClaim) int { return cmp.Or(a.compare(b.inboxKey), cmp.Compare(a.key, b.key)) })
	won := make(map[holder]bool, len(claims))
	for chunk := range slices.Chunk(claims, saveChunk) {
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

// forgetDedupes drops keys whose time is over, and returns how many. It passes
// over those that a send takes just now.
func (s *Store) forgetDedupes(ctx context.Context, tx bun.IDB, limit int) (int64, error) {
	res, err := tx.NewRaw(`delete from dedupes where (env_id, user_id, key) in (
		select env_id, user_id, key from dedupes where until <= ? order by until limit ?`+s.dialect.skipLocked+`)`, micros(s.now()), limit).Exec(ctx)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
