package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/internal/lab"
)

// large is how many items a large inbox holds; half of them are unread.
const large = 100_000

const (
	fillLarge = `insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, seen_at, read_at, in_inbox, reason)
		select u.env_id, $1::bigint + u.id * $2 + n, u.id, $1::bigint + n, 0, 1700000000000000 + n * 1000000, n, n, n, n, at, at, true, 12
		from users u cross join (select n, case when n <= $2 / 2 then 1800000000000000 end at from generate_series(1, $2::bigint) n) s
		where u.env_id = (select id from environments where api_key = $3)`
	fillLargeInboxes = `insert into inboxes (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
		select env_id, id, $1::bigint, $1::bigint, $1::bigint / 2, $1::bigint / 2, 0, 0, 0 from users where env_id = (select id from environments where api_key = $2)`
	bareMarks = `create schema bare_marks;
		create table bare_marks.notifications (like notifications including all);`
	fillBareMarks = `insert into bare_marks.notifications select * from notifications where env_id = (select id from environments where api_key = $1) order by id`
)

// marks measures the unread count of a large inbox, beside counting, and
// marking all of it, beside updating the rows. Each round has a user of its own.
func (p *place) marks(ctx context.Context) error {
	env, err := p.setup.CreateApp(ctx, "marks", "test")
	if err != nil {
		return err
	}
	ours, bare, end, err := p.both(ctx)
	if err != nil {
		return err
	}
	defer end()
	if _, err := lab.NewClient("http://"+ours.addr, env.SecretKey).Identify(ctx, p.rounds); err != nil {
		return err
	}
	envID, users, err := p.fillLarge(ctx, env)
	if err != nil {
		return err
	}
	var counts, marks [2]samples
	for i, user := range users {
		name, bareUser := fmt.Sprintf("u%d", i), fmt.Appendf(nil, `{"env":%d,"user":%d}`, envID, user)
		for j, s := range []struct {
			*side
			count, mark     []byte
			counted, marked string
		}{
			{
				side: ours, count: graphQL(env.SecretKey, `query ($u: String!) { user(identifier: $u) { inbox(first: 1) { counters { unread } } } }`, name), counted: `"unread":50000`,
				mark: graphQL(env.SecretKey, `mutation ($u: String!) { markAllNotifications(input: {user: $u, as: READ}) { affected userErrors { message } } }`, name), marked: `"affected":50000`,
			},
			{side: bare, count: request("/unread", "", bareUser), counted: `"unread":50000`, mark: request("/markall", "", bareUser), marked: `"affected":50000`},
		} {
			c, err := p.watch(ctx, s.side, "count", func() (int, time.Duration, error) {
				return flood(ctx, s.addr, 1, p.length/4, func(int, int) ([]byte, func([]byte) error) { return s.count, holds(s.counted) })
			})
			if err != nil {
				return err
			}
			m, err := p.watch(ctx, s.side, "markall", func() (int, time.Duration, error) {
				w, err := dialWire(ctx, s.addr)
				if err != nil {
					return 0, 0, err
				}
				defer w.conn.Close()
				began := time.Now()
				body, err := w.do(s.mark)
				took := time.Since(began)
				if err == nil {
					err = holds(s.marked)(body)
				}
				return 1, took, err
			})
			if err != nil {
				return err
			}
			counts[j], marks[j] = append(counts[j], c), append(marks[j], m)
		}
	}
	if out, err := p.setup.CLI(ctx, "verify-counters"); err != nil {
		return fmt.Errorf("counters drifted: %w\n%s", err, out)
	}
	p.addTimes(fmt.Sprintf("W5 unread count, %s items, one connection; count(*)", count(large)), counts[0], counts[1])
	p.addTimes(fmt.Sprintf("W5 mark all of %s unread; UPDATE", count(large/2)), marks[0], marks[1])
	return nil
}

// addTimes adds what was measured one after the other.
func (p *place) addTimes(work string, ours, bare samples) {
	a, b := 1e6/ours.rate(), 1e6/bare.rate()
	p.add(result{
		work: work, ours: fmt.Sprintf("%.0f µs", a), bare: fmt.Sprintf("%.0f µs", b),
		ratio: fmt.Sprintf("%.4f of the time", a/b), cpu: ours.cpu() + " : " + bare.cpu(),
	})
}

func graphQL(credential, text, user string) []byte {
	body, _ := json.Marshal(map[string]any{"query": text, "variables": map[string]string{"u": user}}) // of text
	return request("/graphql", credential, body)
}

// holds checks that an answer has something in it.
func holds(part string) func([]byte) error {
	return func(body []byte) error {
		if !bytes.Contains(body, []byte(part)) {
			return fmt.Errorf("wanted %s in the answer %s", part, body)
		}
		return nil
	}
}

// fillLarge puts the items into the inboxes of an environment's users, and into
// the counterpart's copy.
func (p *place) fillLarge(ctx context.Context, env lab.Environment) (envID int64, users []int64, err error) {
	db, err := pgx.Connect(ctx, p.setup.Postgres.URL)
	if err != nil {
		return 0, nil, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	for _, step := range []struct {
		text string
		args []any
	}{
		{fillLarge, []any{int64(1 << 42), int64(large), env.APIKey}},
		{fillLargeInboxes, []any{int64(large), env.APIKey}},
		{bareMarks, nil},
		{fillBareMarks, []any{env.APIKey}},
		{"vacuum analyze", nil},
		{"checkpoint", nil},
	} {
		if _, err := db.Exec(ctx, step.text, step.args...); err != nil {
			return 0, nil, fmt.Errorf("filling large inboxes: %w", err)
		}
	}
	err = db.QueryRow(ctx, `select min(env_id), array_agg(id order by identifier) from users where env_id = (select id from environments where api_key = $1)`, env.APIKey).Scan(&envID, &users)
	return envID, users, err
}
