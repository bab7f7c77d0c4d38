package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/internal/lab"
)

// people is how many users the measurements have.
const people = 10_000

// crowd is an environment with people in it, u00000 and so on, who are all on
// the topic "all".
type crowd struct {
	lab.Environment
	signer
	env  int64
	ids  []int64 // of u00000 and so on, for the counterpart
	rows int     // notifications that fill has put into their inboxes
}

// gather makes the crowd in a set-up, or finds the one that is there.
func (p *place) gather(ctx context.Context) (*crowd, error) {
	if p.crowd != nil {
		return p.crowd, nil
	}
	c, err := gatherIn(ctx, p, p.setup)
	p.crowd = c
	return c, err
}

func gatherIn(ctx context.Context, p *place, setup *lab.Setup) (*crowd, error) {
	env, err := setup.CreateApp(ctx, "crowd", "test")
	if err != nil {
		return nil, err
	}
	srv, err := p.serve(ctx, setup)
	if err != nil {
		return nil, err
	}
	defer srv.Kill()
	c, client := &crowd{Environment: env}, lab.NewPatientClient("http://"+srv.addr, env.SecretKey, time.Minute)
	if c.signer, err = newSigner(ctx, client); err != nil {
		return nil, err
	}
	if err := client.Crowd(ctx, "all", people); err != nil || setup.Postgres == nil {
		return c, err
	}
	db, err := pgx.Connect(ctx, setup.Postgres.URL)
	if err != nil {
		return nil, err
	}
	defer db.Close(context.WithoutCancel(ctx))
	const of = `from users where env_id = (select env_id from topics t join environments e on e.id = t.env_id where t.identifier = 'all' and e.api_key = $1)`
	if err := db.QueryRow(ctx, `select min(env_id), array_agg(id order by identifier) `+of, env.APIKey).Scan(&c.env, &c.ids); err != nil {
		return nil, fmt.Errorf("looking for the crowd: %w", err)
	}
	return c, nil
}

func userName(i int) string { return fmt.Sprintf("u%05d", i) }

// The notifications that fill makes are numbered from 0: number n is user n
// mod 10,000's, and of the send n / 10. The older half has been read.
const (
	firstID   = 1 << 40 // far above what the server gives out
	perSend   = 10
	fillSends = `insert into sends (env_id, id, request_id, status, title, content, category_id, fired_at, created_at, total, done, skipped, failed)
		select $1, $2::bigint + n, 'fill-' || n, 'SENT', 'Order ' || n || ' is on its way',
			'{"body":"It left our warehouse this morning and should be with you the day after tomorrow, before noon.","url":"https://shop.example/orders/' || n || '"}',
			0, t, t, $3, $3, 0, 0
		from (select n, 1700000000000000 + n * 1000000::bigint t from generate_series($4::bigint, $5::bigint - 1) n) s`
	fillNotifications = `insert into notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, seen_at, read_at, in_inbox, reason)
		select $1, $2::bigint + n, u.id, $2::bigint + n / $3, 0, 1700000000000000 + n / $3 * 1000000, q, q, q, q, at, at, true, 12
		from (select n, n / $4 + 1 q, case when n < $7::bigint / 2 then 1800000000000000 end at from generate_series($5::bigint, $6::bigint - 1) n) s
		join (select id, row_number() over (order by identifier) - 1 i from users where env_id = $1) u on u.i = n % $4`
	// fillReads has the older half of so many be read, of which some were the newer
	// half of fewer.
	fillReads = `update notifications set seen_at = 1800000000000000, read_at = 1800000000000000
		where env_id = $1 and id < $2::bigint + $3::bigint / 2 and read_at is null`
	fillInboxes = `insert into inboxes (env_id, user_id, seq, total, unseen, unread, seen_up_to, read_up_to, trimmed_to)
		select env_id, user_id, count(*), count(*), count(*) filter (where seen_at is null), count(*) filter (where read_at is null), 0, 0, 0
		from notifications where env_id = $1 group by env_id, user_id
		on conflict (env_id, user_id) do update set seq = excluded.seq, total = excluded.total, unseen = excluded.unseen, unread = excluded.unread`
)

// fill puts notifications into the inboxes of the crowd, up to so many. It goes
// to the database directly, which holds what the server would have put there:
// the server's own check of its counters runs over it.
func (p *place) fill(ctx context.Context, c *crowd, rows int) error {
	if c.rows >= rows {
		return nil
	}
	db, err := pgx.Connect(ctx, p.setup.Postgres.URL)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	steps := []struct {
		text string
		args []any
	}{
		{fillSends, []any{c.env, int64(firstID), int64(perSend), int64(c.rows / perSend), int64(rows / perSend)}},
		{fillNotifications, []any{c.env, int64(firstID), int64(perSend), int64(people), int64(c.rows), int64(rows), int64(rows)}},
		{fillReads, []any{c.env, int64(firstID), int64(rows)}},
		{fillInboxes, []any{c.env}},
		{"vacuum analyze notifications", nil},
		{"vacuum analyze sends", nil},
		{"vacuum analyze inboxes", nil},
		{"vacuum analyze users", nil},
		{"checkpoint", nil},
	}
	for _, step := range steps {
		if _, err := db.Exec(ctx, step.text, step.args...); err != nil {
			return fmt.Errorf("filling inboxes: %w", err)
		}
	}
	c.rows = rows
	if out, err := p.setup.CLI(ctx, "verify-counters"); err != nil {
		return fmt.Errorf("counters drifted: %w\n%s", err, out)
	}
	return nil
}

// newest is the title of the j-th newest item in a filled inbox.
func (c *crowd) newest(user, j int) string {
	return fmt.Sprintf("Order %d is on its way", (c.rows-people*(j+1)+user)/perSend)
}
