package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"carillon/model"
)

// TopicIDs finds topics by identifier; those that do not exist are absent.
func (s *Store) TopicIDs(ctx context.Context, env model.EnvID, identifiers []string) (map[string]model.TopicID, error) {
	out := make(map[string]model.TopicID, len(identifiers))
	if len(identifiers) == 0 {
		return out, nil
	}
	var (
		id         model.TopicID
		identifier string
	)
	rows, err := s.r.QueryContext(ctx, "select id, identifier from topics where env_id = ? and identifier in (?)", env, bun.List(identifiers))
	err = scanEach(rows, err, []any{&id, &identifier}, func() error {
		out[identifier] = id
		return nil
	})
	return out, s.fail("finding topics", err)
}

// NewestUserAt is when the newest user of an environment was made, by the
// clock of the process that made it; the zero time when there is nobody.
func (s *Store) NewestUserAt(ctx context.Context, env model.EnvID) (time.Time, error) {
	var newest sql.NullInt64
	err := s.r.NewRaw("select max(created_at) from users where env_id = ?", env).Scan(ctx, &newest)
	return nullAt(newest), s.fail("finding newest user", err)
}

// AudienceSize counts the recipients of an audience, including users that were
// named and are gone.
func (s *Store) AudienceSize(ctx context.Context, q model.AudienceQuery) (n int64, err error) {
	p := audienceParts(q, 0)
	if len(p.queries) == 0 {
		return 0, nil
	}
	err = s.r.NewRaw(p.with()+"u (id) as ("+strings.Join(p.queries, " union ")+") select count(*) from u", p.args...).Scan(ctx, &n)
	return n, s.fail("counting audience", err)
}

// Audience reads a part of an audience, each recipient once.
//
// What is asked about each user is a query of its own within the statement. So
// neither database is ever tempted to read all users for the sake of a
// thousand, and there is one row a user. What few users have, that they are
// disabled or have chosen something, is read on its own.
func (s *Store) Audience(ctx context.Context, q model.AudienceQuery) (out model.AudiencePart, err error) {
	p := audienceParts(q, q.Limit+1)
	if len(p.queries) == 0 {
		return out, nil
	}
	var (
		r            recipientRow
		exists       bool
		topics, name sql.NullString
		n            int
	)
	query, into := `r (user_id, channels) as (`+p.union()+` order by user_id limit ?)
		select r.user_id, r.channels`, []any{&r.id, &topics}
	args := append(p.args, q.Limit+1)
	if p.outlives {
		query += ", exists (select 1 from users u where u.env_id = ? and u.id = r.user_id)"
		args, into = append(args, q.Env), append(into, &exists)
	}
	if q.Identifiers {
		query += ", (select u.identifier from users u where u.env_id = ? and u.id = r.user_id)"
		args, into = append(args, q.Env), append(into, &name)
	}
	if q.Addresses {
		query += audienceAddresses
		args, into = append(args, q.Env, q.Env, q.Env, q.Env, q.Env), append(into, &r.email, &r.phone, &r.mobileToken, &r.webToken, &r.added)
	}
	rows, err := s.r.QueryContext(ctx, p.with()+query+" from r order by r.user_id", args...)
	err = scanEach(rows, err, into, func() error {
		if n++; n > q.Limit {
			out.More = true
			return nil
		}
		out.Last = r.id
		if p.outlives && !exists {
			out.Absent++
			return nil
		}
		m := model.Recipient{ID: r.id, Identifier: name.String, Enabled: true, Reachable: r.reachable()}
		var err error
		if m.OnlyVia, err = decodeOnlyVia(topics); err != nil {
			return err
		}
		m.SegmentSuppressed = m.OnlyVia != nil && len(m.OnlyVia) == 0 && strings.Contains(topics.String, suppressedMark)
		if out.Recipients == nil {
			out.Recipients = make([]model.Recipient, 0, min(q.Limit, audienceRoom))
		}
		out.Recipients = append(out.Recipients, m)
		return nil
	})
	if err == nil {
		err = s.addExceptions(ctx, q, out.Recipients)
	}
	return out, s.fail("reading audience", err)
}

// audienceRoom is for how many recipients there is room to begin with.
const audienceRoom = 4096

const audienceAddresses = `,
	exists (select 1 from profiles f where f.env_id = ? and f.user_id = r.user_id and f.email is not null),
	exists (select 1 from profiles f where f.env_id = ? and f.user_id = r.user_id and f.phone_number is not null),
	exists (select 1 from devices d where d.env_id = ? and d.user_id = r.user_id and d.platform <> 'WEB' and d.token <> '' and d.enabled),
	exists (select 1 from devices d where d.env_id = ? and d.user_id = r.user_id and d.platform = 'WEB' and d.push_key <> '' and d.enabled),
	(select string_agg(a.channel || case when a.enabled then '+' else '-' end, ',') from addresses a where a.env_id = ? and a.user_id = r.user_id)`

// parts are the queries that add up to an audience, each giving (user_id,
// channels) and a user at most once. Channels are those that the user is on a
// topic for, as it keeps them; null: all.
type parts struct {
	named   values // users by id: the list that a query reads
	queries []string
	args    []any // of the list, then of the queries
	// outlives: it may have users in it who are gone.
	outlives bool
}

// audienceParts asks for users after q.After, the first limit of each part;
// zero limit: all of them, without their channels.
func audienceParts(q model.AudienceQuery, limit int) *parts {
	p, after := new(parts), q.After
	for _, u := range idsAfter(q.Audience.Users, after, limit) {
		p.named.row(u)
	}
	p.args = p.named.args
	add := func(query, id, channels string, args ...any) {
		if limit == 0 {
			p.queries, p.args = append(p.queries, "select "+id+query), append(p.args, args...)
			return
		}
		p.queries = append(p.queries, "select user_id, channels from (select "+id+" as user_id, "+channels+" as channels"+query+" order by "+id+" limit ?) t")
		p.args = append(append(p.args, args...), limit)
	}
	const all = "cast(null as text)"
	for _, t := range q.Audience.Topics {
		add(" from topic_members where env_id = ? and topic_id = ? and user_id > ? and subscribed", "user_id", "channels", q.Env, t, after)
	}
	for _, g := range q.Audience.Segments {
		add(" from segment_members m where m.env_id = ? and m.segment_id = ? and m.user_id > ?", "m.user_id", suppressedInSegment, q.Env, g, after)
	}
	if q.Audience.Everyone {
		add(" from users where env_id = ? and id > ? and created_at <= ? and archived_at is null", "id", all, q.Env, after, micros(q.MadeUntil))
	}
	if !p.named.empty() {
		add(" from named", "id", all)
		p.outlives = true
	}
	return p
}

// suppressedMark is what stands for the channels of users whom a segment may not
// lead to: none, and a name that no channel has, that of a control character.
const (
	suppressedMark      = `"\u0001"`
	suppressedInSegment = `case when exists (select 1 from segment_suppressions x where x.env_id = m.env_id and x.segment_id = m.segment_id and x.user_id = m.user_id)
		then '[` + suppressedMark + `]' end`
)

// idsAfter are the ids after one, in order and each once, the first limit of them.
func idsAfter(ids []model.UserID, after model.UserID, limit int) []model.UserID {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	i, found := slices.BinarySearch(ids, after)
	if found {
		i++
	}
	ids = ids[i:]
	if limit > 0 && len(ids) > limit {
		ids = ids[:limit]
	}
	return ids
}

// with begins a statement: one table expression or more must follow.
func (p *parts) with() string {
	if p.named.empty() {
		return "with "
	}
	return "with named (id) as (values " + p.named.String() + "), "
}

// union puts the parts together: a user is limited to channels when every
// topic that they are in by limits them, to the channels of all.
func (p *parts) union() string {
	if len(p.queries) == 1 {
		return p.queries[0]
	}
	return "select user_id, case when count(channels) = count(*) then string_agg(channels, ',') end as channels from (" +
		strings.Join(p.queries, " union all ") + ") c group by user_id"
}

// decodeOnlyVia reads lists of channels, separated by commas, as one without
// the names that are no channel of ours.
func decodeOnlyVia(lists sql.NullString) ([]model.Channel, error) {
	if !lists.Valid {
		return nil, nil
	}
	var all [][]string
	if err := json.Unmarshal([]byte("["+lists.String+"]"), &all); err != nil {
		return nil, fmt.Errorf("decoding channels: %w", err)
	}
	out := []model.Channel{}
	for _, names := range all {
		for _, name := range names {
			if c, ok := model.ParseChannel(name); ok && !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
	}
	return out, nil
}
