package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/internal/lab"
)

// The users of the segments are numbered, and so are their events: ten to each
// user in the mean, over a year, the newest now. One in three is Event0; the
// others are Event1 to Event19.
const (
	segmentUsers = `insert into users (env_id, id, identifier, enabled, created_at, updated_at, kind, signed_up_at)
		select $1, $2::bigint + n, 'u' || n, true, $3::bigint - n * (31536000000000 / $4::bigint), $3, 'PERSON', $3::bigint - n * (31536000000000 / $4::bigint) from generate_series(0, $4::bigint - 1) n`
	segmentProfiles = `insert into profiles (env_id, user_id, version, attributes)
		select $1, $2::bigint + n, 1, '{"firstName":"First ' || n || '","plan":"' || (array['free', 'free', 'free', 'silver', 'gold'])[1 + n % 5] || '","seats":' || n % 40 || ',"city":"City ' || n % 300 || '"}'
		from generate_series(0, $3::bigint - 1) n`
	segmentTopic  = `insert into topic_members (env_id, topic_id, user_id, subscribed, created_at) select env_id, id, $2::bigint + n, true, 0 from topics, generate_series(0, $3::bigint - 1, 5) n where env_id = $1`
	segmentEvents = `insert into events (env_id, id, user_id, name, value, properties, occurred_at, created_at)
		select $1, 'fill' || lpad(n::text, 9, '0'), $2::bigint + (hashint8(n)::bigint + 2147483648) % $3::bigint, 'Event' || (case when n % 3 = 0 then 0 else n % 20 end), (n % 100)::text, '{"price":' || n % 500 || '}',
			$4::bigint - n * (31536000000000 / $5::bigint), $4
		from generate_series($6::bigint, $7::bigint - 1) n`

	firstSegmentUser = int64(1) << 42 // far above what the server gives out
	changedAtOnce    = 20_000
	enough           = 30 * time.Second // of repeating one measurement
)

// rules are 20 of what applications ask for.
var rules = []string{
	`{attribute: {name: "plan", equals: "gold"}}`,
	`{attribute: {name: "seats", atLeast: 30}}`,
	`{attribute: {name: "city", oneOf: ["City 1", "City 2", "City 3"]}}`,
	`{all: [{attribute: {name: "plan", equals: "silver"}}, {reachable: EMAIL}]}`,
	`{topic: "news"}`,
	`{all: [{topic: "news"}, {attribute: {name: "plan", equals: "free"}}]}`,
	`{created: {withinDays: 30}}`,
	`{not: {attribute: {name: "plan", exists: true}}}`,
	`{event: {name: "Event1", withinDays: 7}}`,
	`{event: {name: "Event2", withinDays: 30, atLeast: 2}}`,
	`{event: {name: "Event4", withinDays: 90, atMost: 0}}`,
	`{all: [{event: {name: "Event5", withinDays: 30}}, {not: {event: {name: "Event7", withinDays: 30}}}]}`,
	`{event: {name: "Event8", where: [{name: "price", atLeast: 400}]}}`,
	`{event: {name: "Event0", atLeast: 5}}`,
	`{event: {name: "Event0", withinDays: 14, atLeast: 3}}`,
	`{event: {name: "Event10", sum: {property: "price", atLeast: 500}}}`,
	`{event: {name: "Event11", last: true, where: [{name: "price", lessThan: 100}]}}`,
	`{all: [{attribute: {name: "plan", equals: "gold"}}, {event: {name: "Event13", withinDays: 30, atMost: 0}}]}`,
	`{any: [{event: {name: "Event14", withinDays: 3}}, {event: {name: "Event16", withinDays: 3}}]}`,
	`{all: [{attribute: {name: "seats", lessThan: 5}}, {event: {name: "Event17"}}]}`,
}

// segments measures rules over many users and events: one evaluated over
// everyone, and what 20 cost to be made, evaluated anew, and kept fresh while
// users change and time passes.
func (p *place) segments(ctx context.Context) error {
	env, err := p.setup.CreateApp(ctx, "segments", "test")
	if err != nil {
		return err
	}
	srv, err := p.serve(ctx, p.setup, "REQUEST_TIMEOUT=5m") // previews look at everyone
	if err != nil {
		return err
	}
	defer srv.Kill()
	db, err := pgx.Connect(ctx, p.setup.Postgres.URL)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	s := &keeping{place: p, srv: srv, db: db, began: time.Now(), client: lab.NewPatientClient("http://"+srv.addr, env.SecretKey, 10*time.Minute)}
	if err := s.furnish(ctx, env.APIKey); err != nil {
		return err
	}
	for _, i := range []int{0, 8, 12, 13} {
		if err := s.preview(ctx, rules[i]); err != nil {
			return err
		}
	}
	before, err := s.trackAll(ctx)
	if err != nil {
		return err
	}
	if err := s.keep(ctx); err != nil {
		return err
	}
	after, err := s.trackAll(ctx)
	if err != nil {
		return err
	}
	s.note(fmt.Sprintf("%s events written at once: without a segment; with 20", count(changedAtOnce)), fmt.Sprintf("%d; %d ms", before.Milliseconds(), after.Milliseconds()))
	return nil
}

// keeping is the measurement of segments under way.
type keeping struct {
	*place
	srv    *side
	db     *pgx.Conn
	client *lab.Client
	env    int64
	began  time.Time
	now    int64 // microseconds
	events int   // that trackAll has written
}

func (s *keeping) note(what, figure string) {
	s.add(result{work: "Segments: " + what, ours: figure})
}

// furnish makes the users, and what is known of them, in the database directly.
func (s *keeping) furnish(ctx context.Context, apiKey string) error {
	if err := mutate(ctx, s.client, `createTopic(input: {identifier: "news", name: "News"}) { userErrors { path message } }`); err != nil {
		return err
	}
	if err := s.db.QueryRow(ctx, "select id from environments where api_key = $1", apiKey).Scan(&s.env); err != nil {
		return err
	}
	s.now = time.Now().UnixMicro()
	users, events := int64(s.segmentUsers), int64(s.segmentUsers)*10
	steps := []struct {
		text string
		args []any
	}{
		{segmentUsers, []any{s.env, firstSegmentUser, s.now, users}},
		{segmentProfiles, []any{s.env, firstSegmentUser, users}},
		{segmentTopic, []any{s.env, firstSegmentUser, users}},
	}
	return fillWithout(ctx, s.db, []string{"users", "profiles", "topic_members", "events"}, func() error {
		for _, step := range steps {
			if _, err := s.db.Exec(ctx, step.text, step.args...); err != nil {
				return fmt.Errorf("making users: %w", err)
			}
		}
		s.progress(count(int(users)) + " users are there")
		const part = 1_000_000
		for from := int64(0); from < events; from += part {
			if _, err := s.db.Exec(ctx, segmentEvents, s.env, firstSegmentUser, users, s.now, events, from, min(from+part, events)); err != nil {
				return fmt.Errorf("making events: %w", err)
			}
			s.progress(count(int(min(from+part, events))) + " events are there")
		}
		return nil
	}, s.progress)
}

// progress says how far it is, and since when.
func (s *keeping) progress(what string) {
	fmt.Fprintf(os.Stderr, "  %6s  %s\n", time.Since(s.began).Round(time.Second), what)
}

// preview has a rule evaluated over everyone by a caller who waits.
func (s *keeping) preview(ctx context.Context, rule string) error {
	var took []time.Duration
	var out struct{ PreviewSegment struct{ Count int } }
	for begun := time.Now(); len(took) < s.rounds && (len(took) == 0 || time.Since(begun) < enough); {
		began := time.Now()
		if err := s.client.Do(ctx, `{ previewSegment(rule: `+rule+`, first: 1) { count } }`, nil, &out); err != nil {
			return fmt.Errorf("%s: %w", rule, err)
		}
		took = append(took, time.Since(began))
	}
	ms := median(took, func(d time.Duration) float64 { return float64(d.Milliseconds()) })
	s.note(fmt.Sprintf("preview of %s, %s match", rule, count(out.PreviewSegment.Count)), fmt.Sprintf("%.0f ms", ms))
	return nil
}

// keep makes the segments, and measures what they cost from then on.
func (s *keeping) keep(ctx context.Context) error {
	var b strings.Builder
	for i, rule := range rules {
		fmt.Fprintf(&b, "s%d: createSegment(input: {identifier: \"s%d\", name: \"S\", rule: %s}) { userErrors { path message } } ", i, i, rule)
		if i%10 == 9 {
			if err := mutate(ctx, s.client, b.String()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	if err := s.until(ctx, "20 made and evaluated for the first time", "select count(*) = 20 from segments where env_id = $1 and refreshed_at is not null"); err != nil {
		return err
	}
	if err := s.after(ctx, "20 evaluated over everyone again, as twice a day", "update segments set due_at = 0 where env_id = $1",
		"select count(*) = 0 from segments where env_id = $1 and due_at = 0"); err != nil {
		return err
	}
	const quiet = "select not exists (select 1 from segment_changes where env_id = $1)"
	what := fmt.Sprintf("20 kept fresh after %s users changed", count(changedAtOnce))
	if err := s.after(ctx, what, fmt.Sprintf(`update profiles set attributes = replace(attributes, '"gold"', '"silver"'), version = version + 1 where env_id = $1 and user_id < %d`, firstSegmentUser+changedAtOnce), quiet); err != nil {
		return err
	}
	// An hour that was not followed, which is 60 times what there is otherwise.
	var crossed int
	if err := s.db.QueryRow(ctx, "select count(distinct user_id) from events where env_id = $1 and occurred_at >= $2::bigint - 3600000000 - 2592000000000 and occurred_at < $2::bigint - 2592000000000", s.env, s.now).Scan(&crossed); err != nil {
		return err
	}
	return s.after(ctx, fmt.Sprintf("an hour caught up with; %s users left one window of 30 days", count(crossed)), "update segments set followed_at = followed_at - 3600000000 where env_id = $1 and followed_at is not null",
		"select (select count(*) from segments where env_id = $1 and followed_at < refreshed_at - 600000000) = 0 and not exists (select 1 from segment_changes where env_id = $1)")
}

// after runs a statement and measures how long it takes from then until done is
// true.
func (s *keeping) after(ctx context.Context, what, statement, done string) error {
	if _, err := s.db.Exec(ctx, statement, s.env); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return s.until(ctx, what, done)
}

func (s *keeping) until(ctx context.Context, what, done string) error {
	spent, err := s.watch(ctx, s.srv, "segments", func() (int, time.Duration, error) {
		began := time.Now()
		err := lab.Poll(ctx, time.Hour, func() error {
			var is bool
			if err := s.db.QueryRow(ctx, done, s.env).Scan(&is); err != nil {
				return lab.StopPolling{Err: err}
			}
			if !is {
				return fmt.Errorf("not yet: %s", what)
			}
			return nil
		})
		return 1, time.Since(began), err
	})
	if err != nil {
		return err
	}
	s.add(result{work: "Segments: " + what, ours: fmt.Sprintf("%.1f s", spent.took.Seconds()), cpu: fmt.Sprintf("%.2f + %.2f s", spent.server.Seconds(), spent.sql.Seconds())})
	return nil
}

// trackAll writes many events by one statement, some times over, for the same
// users, and gives the median: the first time, which reads what was not in
// memory, does not count. What there is then to be evaluated is dropped, so that
// it does not get in the way of the next time.
func (s *keeping) trackAll(ctx context.Context) (time.Duration, error) {
	var took []time.Duration
	for range s.rounds + 1 {
		one, err := s.trackOnce(ctx)
		if err != nil {
			return 0, err
		}
		took = append(took, one)
	}
	return time.Duration(median(took[1:], func(d time.Duration) float64 { return float64(d) })), nil
}

func (s *keeping) trackOnce(ctx context.Context) (took time.Duration, err error) {
	from := s.events
	s.events += changedAtOnce
	began := time.Now()
	_, err = s.db.Exec(ctx, `insert into events (env_id, id, user_id, name, value, properties, occurred_at, created_at)
		select $1, 'more' || n, $2::bigint + n % $3::bigint, 'Event' || n % 20, '1', '{"price":3}', $4, $4 from generate_series($5::bigint, $6::bigint - 1) n`,
		s.env, firstSegmentUser, int64(changedAtOnce), s.now, int64(from), int64(s.events))
	took = time.Since(began)
	if err != nil {
		return took, err
	}
	for _, statement := range []string{"delete from segment_changes", "vacuum segment_changes"} {
		if _, err := s.db.Exec(ctx, statement); err != nil {
			return took, err
		}
	}
	return took, nil
}
