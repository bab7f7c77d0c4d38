package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// errDryRun ends the transaction of a merge that was only tried.
var errDryRun = errors.New("dry run")

// MergeUsers makes one user of two: everything that is from's becomes into's,
// and from's identifiers go on naming into. Where both have the like of a
// thing, into's stays, but of two choices the later one, and of two of one
// moment the stricter. It cannot be undone. With dryRun nothing is changed and
// the result says what would be.
func (s *Store) MergeUsers(ctx context.Context, env model.EnvID, o model.Once, id model.MergeID, from, into string, join model.ProfileJoin, dryRun bool) (model.Outcome[model.MergeResult], error) {
	var tried model.MergeResult
	if dryRun {
		o = model.Once{}
	}
	out, err := once(ctx, s, env, o, "merging users", func(ctx context.Context, tx bun.Tx) (model.MergeResult, error) {
		m := merging{s: s, tx: tx, env: env}
		result, err := m.run(ctx, id, from, into, join)
		if err == nil && dryRun {
			tried, err = result, errDryRun
		}
		return result, err
	})
	if errors.Is(err, errDryRun) {
		return model.Outcome[model.MergeResult]{Value: tried}, nil
	}
	return out, err
}

// merging is one run of MergeUsers.
type merging struct {
	s          *Store
	tx         bun.Tx
	env        model.EnvID
	from, into model.User
	decisions  []model.MergeDecision
	seq        int64
}

func (m *merging) run(ctx context.Context, id model.MergeID, from, into string, join model.ProfileJoin) (model.MergeResult, error) {
	expanding, err := m.holdSends(ctx)
	if err != nil {
		return model.MergeResult{}, err
	}
	if err := m.lock(ctx, from, into); err != nil {
		return model.MergeResult{}, err
	}
	if err := m.notBetween(expanding); err != nil {
		return model.MergeResult{}, err
	}
	for _, step := range []func(context.Context) error{
		func(ctx context.Context) error { return m.profile(ctx, join) },
		m.belongings, m.choices, m.inbox, m.history, m.scheduled, m.passOn, m.remove,
	} {
		if err := step(ctx); err != nil {
			return model.MergeResult{}, err
		}
	}
	record := model.Merge{ID: id, EnvID: m.env, Into: m.into.ID, From: m.from.Identifier, Decisions: m.decisions, CreatedAt: m.s.now()}
	decisions, err := model.EncodeJSON(record.Decisions)
	if err != nil {
		return model.MergeResult{}, err
	}
	_, err = m.tx.NewRaw("insert into merges (env_id, id, user_id, from_identifier, decisions, created_at) values (?, ?, ?, ?, ?, ?)",
		m.env, id, m.into.ID, m.from.Identifier, string(decisions), micros(record.CreatedAt)).Exec(ctx)
	return model.MergeResult{User: m.into, Merge: record, From: m.from.ID, Seq: m.seq}, err
}

// expansion is a send on its way, and the last user whom it has come to.
type expansion struct {
	ID      model.SendID
	Reached model.UserID
}

// holdSends keeps the sends that are on their way where they are. They are
// locked before any user, as chunks of them do.
func (m *merging) holdSends(ctx context.Context) ([]expansion, error) {
	var rows []expansion
	err := m.tx.NewRaw("select id, reached from sends where env_id = ? and status = 'EXPANDING' order by id"+m.s.dialect.forUpdate, m.env).Scan(ctx, &rows)
	return rows, err
}

// notBetween refuses a merge for the moments in which a send has come to one of
// the users and not yet to the other: the one who is left would get it twice, or
// never. Before and after that both are in the same place, and it reaches the one
// who is left once.
func (m *merging) notBetween(sends []expansion) error {
	low, high := min(m.from.ID, m.into.ID), max(m.from.ID, m.into.ID)
	for _, e := range sends {
		if low <= e.Reached && e.Reached < high {
			return &model.Error{Kind: model.KindUnavailable, RetryAfter: time.Second, Message: "a send has come to one of these users and not yet to the other; try again"}
		}
	}
	return nil
}

// lock locks both users, in the order of identifiers.
func (m *merging) lock(ctx context.Context, from, into string) error {
	found, err := m.s.usersNamed(ctx, m.tx, m.env, slices.Compact(slices.Sorted(slices.Values([]string{from, into}))), m.s.dialect.forUpdate)
	if err != nil {
		return err
	}
	var ok bool
	if m.from, ok = found[from]; !ok {
		return model.NotFound("names no user", "from")
	}
	if m.into, ok = found[into]; !ok {
		return model.NotFound("names no user", "into")
	}
	if m.from.ID == m.into.ID {
		return &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{
			Code: model.ProblemInvalid, Path: []string{"into"}, Message: "must name another user: both names are one user's",
		}}}
	}
	return nil
}

func (m *merging) decide(what string, moved, dropped int64, names ...string) {
	if moved+dropped > 0 {
		m.decisions = append(m.decisions, model.MergeDecision{What: what, Moved: moved, Dropped: dropped, Names: names})
	}
}

func (m *merging) profile(ctx context.Context, join model.ProfileJoin) error {
	attributes, decision, err := join(m.from.Profile.Attributes, m.into.Profile.Attributes)
	if err != nil {
		return err
	}
	m.decide(decision.What, decision.Moved, decision.Dropped, decision.Names...)
	u := &m.into
	u.UpdatedAt = m.s.now()
	if m.from.SignedUpAt.Before(u.SignedUpAt) {
		u.SignedUpAt = m.from.SignedUpAt
	}
	if m.from.LastSeenAt.After(u.LastSeenAt) {
		u.LastSeenAt = m.from.LastSeenAt
	}
	if _, err := m.tx.NewRaw("update users set updated_at = ?, signed_up_at = ?, last_seen_at = ? where env_id = ? and id = ?",
		micros(u.UpdatedAt), micros(u.SignedUpAt), max(0, micros(u.LastSeenAt)), m.env, u.ID).Exec(ctx); err != nil {
		return err
	}
	if bytes.Equal(attributes, u.Profile.Attributes) {
		return nil
	}
	u.Profile = model.Profile{Version: u.Profile.Version + 1, Attributes: attributes}
	return saveProfiles(ctx, m.tx, []*model.User{u})
}

// copied runs an insert of from's rows as into's that leaves out what is there,
// and notes how many that were of how many.
func (m *merging) copied(ctx context.Context, what, count, insert string) error {
	var all int64
	if err := m.tx.NewRaw("select count(*) from "+count, m.env, m.from.ID, m.into.ID).Scan(ctx, &all); err != nil || all == 0 {
		return err
	}
	n, err := m.exec(ctx, insert)
	m.decide(what, n, all-n)
	return err
}

// exec runs a statement with ?0 the environment, ?1 from and ?2 into, and
// returns how many rows it changed.
func (m *merging) exec(ctx context.Context, statement string, more ...any) (int64, error) {
	res, err := m.tx.NewRaw(statement, append([]any{m.env, m.from.ID, m.into.ID}, more...)...).Exec(ctx)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// belongings are addresses, devices, places on topics and in accounts.
func (m *merging) belongings(ctx context.Context) error {
	for _, c := range []struct{ what, count, insert string }{
		{
			"addresses", "addresses where env_id = ?0 and user_id = ?1",
			`insert into addresses (env_id, user_id, id, channel, address, platform, provider, enabled, created_at, last_used_at)
				select env_id, ?2, id, channel, address, platform, provider, enabled, created_at, last_used_at from addresses where env_id = ?0 and user_id = ?1
				on conflict do nothing`,
		},
		{
			"devices", "devices where env_id = ?0 and user_id = ?1",
			`insert into devices (env_id, user_id, id, device_key, platform, browser, token, web_push, push_key, provider, enabled, created_at, last_used_at)
				select env_id, ?2, id, device_key, platform, browser, token, web_push, push_key, provider, enabled, created_at, last_used_at from devices where env_id = ?0 and user_id = ?1
				on conflict do nothing`,
		},
		{
			"topics", "topic_members where env_id = ?0 and user_id = ?1",
			`insert into topic_members (env_id, topic_id, user_id, channels, subscribed, created_at)
				select env_id, topic_id, ?2, channels, subscribed, created_at from topic_members where env_id = ?0 and user_id = ?1
				on conflict do nothing`,
		},
		{
			"segments", "segment_suppressions where env_id = ?0 and user_id = ?1",
			`insert into segment_suppressions (env_id, segment_id, user_id, created_at)
				select env_id, segment_id, ?2, created_at from segment_suppressions where env_id = ?0 and user_id = ?1
				on conflict do nothing`,
		},
		{
			"memberships", "memberships where env_id = ?0 and user_id = ?1 and account_id <> ?2",
			`insert into memberships (env_id, user_id, account_id, role, created_at)
				select env_id, ?2, account_id, role, created_at from memberships where env_id = ?0 and user_id = ?1 and account_id <> ?2
				on conflict do nothing`,
		},
		{
			"members", "memberships where env_id = ?0 and account_id = ?1 and user_id <> ?2",
			`insert into memberships (env_id, user_id, account_id, role, created_at)
				select env_id, user_id, ?2, role, created_at from memberships where env_id = ?0 and account_id = ?1 and user_id <> ?2
				on conflict do nothing`,
		},
	} {
		if err := m.copied(ctx, c.what, c.count, c.insert); err != nil {
			return err
		}
	}
	for table, most := range map[string]int{"addresses": model.MaxAddresses, "devices": model.MaxDevices} {
		if _, err := m.exec(ctx, `delete from `+table+` where env_id = ?0 and user_id = ?2 and id not in (
			select id from `+table+` where env_id = ?0 and user_id = ?2 order by last_used_at desc, id desc limit ?3)`, most); err != nil {
			return err
		}
	}
	return nil
}

func (m *merging) choices(ctx context.Context) error {
	n, err := m.exec(ctx, `insert into preferences as p (env_id, user_id, category_id, channel, enabled, updated_at)
		select env_id, ?2, category_id, channel, enabled, updated_at from preferences where env_id = ?0 and user_id = ?1
		on conflict (env_id, user_id, category_id, channel) do update set
			enabled = case when excluded.updated_at > p.updated_at then excluded.enabled when excluded.updated_at = p.updated_at then excluded.enabled and p.enabled else p.enabled end,
			updated_at = case when excluded.updated_at > p.updated_at then excluded.updated_at else p.updated_at end`)
	m.decide("preferences", n, 0)
	return err
}

// inbox moves the notifications. They come into the other inbox as one change,
// each with the marks it had: what a mark-all covered is marked on its own
// first. Of a send that both have, into's stays.
func (m *merging) inbox(ctx context.Context) error {
	lock := "select user_id, seq, seen_up_to, read_up_to from inboxes where env_id = ? and user_id in (?, ?) order by user_id" + m.s.dialect.forUpdate
	var rows []struct {
		UserID   model.UserID
		Seq      int64
		SeenUpTo int64
		ReadUpTo int64
	}
	if _, err := m.exec(ctx, `insert into inboxes (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to) values (?0, ?2, 0, 0, 0, 0, 0, 0, 0) on conflict do nothing`); err != nil {
		return err
	}
	if err := m.tx.NewRaw(lock, m.env, m.from.ID, m.into.ID).Scan(ctx, &rows); err != nil || len(rows) < 2 {
		return err
	}
	seenUpTo, readUpTo, seq := rows[0].SeenUpTo, rows[0].ReadUpTo, rows[1].Seq
	if rows[0].UserID != m.from.ID {
		seenUpTo, readUpTo, seq = rows[1].SeenUpTo, rows[1].ReadUpTo, rows[0].Seq
	}
	const markedAt = "coalesce((select k.at from inbox_marks k where k.env_id = ?0 and k.user_id = ?1 and k.kind = %d and k.up_to_seq >= abs(n.%s) order by k.up_to_seq limit 1), ?5)"
	if _, err := m.exec(ctx, `update notifications as n set
			seen_at = case when n.seen_at is null and abs(n.seen_seq) <= ?3 then `+fmt.Sprintf(markedAt, markKindSeen, "seen_seq")+` else n.seen_at end,
			read_at = case when n.read_at is null and n.read_seq <= ?4 then `+fmt.Sprintf(markedAt, markKindRead, "read_seq")+` else n.read_at end
		where n.env_id = ?0 and n.user_id = ?1`, seenUpTo, readUpTo, micros(m.s.now())); err != nil {
		return err
	}
	const both = `select f.id as id, t.id as other from notifications f join notifications t on t.env_id = ?0 and t.send_id = f.send_id and t.user_id = ?2
		where f.env_id = ?0 and f.user_id = ?1`
	if _, err := m.exec(ctx, `update deliveries set notification_id = (select b.other from (`+both+`) b where b.id = deliveries.notification_id)
		where env_id = ?0 and notification_id in (select b.id from (`+both+`) b)`); err != nil {
		return err
	}
	dropped, err := m.exec(ctx, `delete from notifications where env_id = ?0 and user_id = ?1 and id in (select b.id from (`+both+`) b)`)
	if err != nil {
		return err
	}
	if _, err := m.exec(ctx, "update deliveries set user_id = ?2 where env_id = ?0 and notification_id in (select id from notifications where env_id = ?0 and user_id in (?1, ?2)) and user_id = ?1"); err != nil {
		return err
	}
	moved, err := m.exec(ctx, "update notifications set user_id = ?2, added_seq = ?3, seq = ?3, read_seq = ?3, seen_seq = case when seen_at is null and read_at is not null then 0 - ?3 else ?3 end where env_id = ?0 and user_id = ?1", seq+1)
	m.decide("notifications", moved, dropped)
	if err == nil {
		_, err = m.exec(ctx, "update interactions set user_id = ?2 where env_id = ?0 and user_id = ?1 and notification_id in (select id from notifications where env_id = ?0 and user_id = ?2)")
	}
	if err != nil || moved == 0 {
		return err
	}
	m.seq = seq + 1
	_, err = m.exec(ctx, `update inboxes set seq = ?3, total = c.total, unseen = c.unseen, unread = c.unread from (
			select count(n.id) as total, count(n.id) filter (where `+isUnseen+`) as unseen, count(n.id) filter (where `+isUnread+`) as unread
			from inboxes i left join notifications n on n.env_id = ?0 and n.user_id = ?2 and n.in_inbox and n.deleted_at is null and n.archived_at is null
			where i.env_id = ?0 and i.user_id = ?2) c
		where inboxes.env_id = ?0 and inboxes.user_id = ?2`, m.seq)
	return err
}

// history are events, former identifiers and records of merges.
func (m *merging) history(ctx context.Context) error {
	for what, statement := range map[string]string{
		"events":  "update events set user_id = ?2 where env_id = ?0 and user_id = ?1",
		"aliases": "update user_aliases set user_id = ?2 where env_id = ?0 and user_id = ?1",
		"":        "update merges set user_id = ?2 where env_id = ?0 and user_id = ?1",
	} {
		n, err := m.exec(ctx, statement)
		if err != nil {
			return err
		}
		if what != "" {
			m.decide(what, n, 0)
		}
	}
	slices.SortStableFunc(m.decisions, func(a, b model.MergeDecision) int { return strings.Compare(a.What, b.What) })
	return nil
}

// scheduled puts into in from's place among those whom sends are yet to reach.
func (m *merging) scheduled(ctx context.Context) error {
	var rows []struct {
		ID       model.SendID
		Audience string
	}
	if err := m.tx.NewRaw("select id, audience from sends where env_id = ? and status in ('SCHEDULED', 'EXPANDING') and audience like ? order by id"+m.s.dialect.forUpdate,
		m.env, fmt.Sprintf("%%%d%%", m.from.ID)).Scan(ctx, &rows); err != nil {
		return err
	}
	var moved int64
	for _, r := range rows {
		var a model.Audience
		if err := json.Unmarshal([]byte(r.Audience), &a); err != nil {
			return fmt.Errorf("decoding audience: %w", err)
		}
		i := slices.Index(a.Users, m.from.ID)
		if i < 0 {
			continue
		}
		if slices.Contains(a.Users, m.into.ID) {
			a.Users = slices.Delete(a.Users, i, i+1)
		} else {
			a.Users[i] = m.into.ID
		}
		text, err := model.EncodeJSON(a)
		if err != nil {
			return err
		}
		if _, err := m.tx.NewRaw("update sends set audience = ? where env_id = ? and id = ?", string(text), m.env, r.ID).Exec(ctx); err != nil {
			return err
		}
		moved++
	}
	m.decide("scheduledSends", moved, 0)
	return nil
}

// remove takes from away and lets the identifier name into.
func (m *merging) remove(ctx context.Context) error {
	for _, statement := range []string{
		"delete from idempotency where env_id = ?0 and actor = ?1",
		"delete from users where env_id = ?0 and id = ?1",
	} {
		if _, err := m.exec(ctx, statement); err != nil {
			return err
		}
	}
	_, err := m.tx.NewRaw("insert into user_aliases (env_id, identifier, user_id, created_at) values (?, ?, ?, ?)", m.env, m.from.Identifier, m.into.ID, micros(m.s.now())).Exec(ctx)
	return err
}

// passOn makes from's collapse and dedupe keys, and what webhook endpoints are told of from,
// into's, and has them told of the merge.
func (m *merging) passOn(ctx context.Context) error {
	if _, err := m.exec(ctx, `insert into collapses (env_id, user_id, key, notification_id)
		select env_id, ?2, key, notification_id from collapses where env_id = ?0 and user_id = ?1 on conflict do nothing`); err != nil {
		return fmt.Errorf("moving collapse keys: %w", err)
	}
	if _, err := m.exec(ctx, "delete from collapses where env_id = ?0 and user_id = ?1"); err != nil {
		return fmt.Errorf("dropping collapse keys: %w", err)
	}
	if _, err := m.exec(ctx, `insert into dedupes (env_id, user_id, key, until)
		select env_id, ?2, key, until from dedupes where env_id = ?0 and user_id = ?1 on conflict do nothing`); err != nil {
		return fmt.Errorf("moving dedupe keys: %w", err)
	}
	if _, err := m.exec(ctx, "update webhook_events set user_id = ?2 where env_id = ?0 and user_id = ?1"); err != nil {
		return fmt.Errorf("moving webhook events: %w", err)
	}
	return m.s.tell(ctx, m.tx, []model.WebhookEvent{{
		EnvID: m.env, Type: model.EventUserMerged, UserID: m.into.ID, Data: model.WebhookData{From: m.from.ID, FromName: m.from.Identifier},
	}})
}

// Merges lists the records of what was merged into a user, oldest first.
func (s *Store) Merges(ctx context.Context, env model.EnvID, user model.UserID) ([]model.Merge, error) {
	var rows []struct {
		ID             model.MergeID
		FromIdentifier string
		Decisions      string
		CreatedAt      int64
	}
	if err := s.r.NewRaw("select id, from_identifier, decisions, created_at from merges where env_id = ? and user_id = ? order by id", env, user).Scan(ctx, &rows); err != nil {
		return nil, s.fail("reading merges", err)
	}
	out := make([]model.Merge, len(rows))
	for i, r := range rows {
		out[i] = model.Merge{ID: r.ID, EnvID: env, Into: user, From: r.FromIdentifier, CreatedAt: at(r.CreatedAt)}
		if err := json.Unmarshal([]byte(r.Decisions), &out[i].Decisions); err != nil {
			return nil, s.fail("decoding decisions", err)
		}
	}
	return out, nil
}
