package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/internal/lab"
)

// everyone is how many users a broadcast goes to. One in ten has chosen
// something about its category; one in twenty does not want it.
const everyone = 100_000

const (
	bareChoices = `insert into preferences (env_id, user_id, category_id, channel, enabled, updated_at)
		select env_id, user_id, (select id from categories where identifier = 'news'), 1, n % 20 <> 0, 0
		from (select env_id, user_id, row_number() over (order by user_id) n from topic_members where topic_id = (select topic_id from topic_members group by topic_id having count(*) = $1)) m where n % 10 = 0`
	// bareBroadcast are tables like ours, with all their indexes, and an inbox
	// for everyone.
	bareBroadcast = `
create schema bare_broadcast;
create table bare_broadcast.notifications (like notifications including all);
create table bare_broadcast.inboxes (like inboxes including all);
create table bare_broadcast.wanted as select env_id, user_id from notifications where send_id = (select max(id) from sends where title = 'broadcast') and in_inbox;
insert into bare_broadcast.inboxes select i.* from inboxes i join bare_broadcast.wanted w using (env_id, user_id);`

	// The counterpart of a broadcast is one statement that knows no preference,
	// no progress, no cancelling and no crash; and another that counts.
	bareRows = `insert into bare_broadcast.notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, in_inbox, reason)
		select env_id, $1::bigint + row_number() over (), user_id, $1::bigint, 0, $2::bigint, 1, 1, 1, 1, true, 12 from bare_broadcast.wanted`
	bareCounters = `update bare_broadcast.inboxes set seq = seq + 1, total = total + 1, unseen = unseen + 1, unread = unread + 1`
)

// broadcast measures one send to a topic of 100,000 users who are offline, from
// asking for it to its end, preferences applied, beside a bare INSERT … SELECT
// of the same rows.
func (p *place) broadcast(ctx context.Context) error {
	env, err := p.setup.CreateApp(ctx, "broadcast", "test")
	if err != nil {
		return err
	}
	srv, err := p.serve(ctx, p.setup)
	if err != nil {
		return err
	}
	defer srv.Kill()
	client := lab.NewPatientClient("http://"+srv.addr, env.SecretKey, time.Minute)
	db, err := p.readyForNews(ctx, client)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	var rates [3]samples // ours, the rows, rows and counters
	id := int64(1) << 41
	for range p.rounds {
		s, err := p.watch(ctx, srv, "broadcast", func() (int, time.Duration, error) { return tellAll(ctx, client) })
		if err != nil {
			return err
		}
		rates[0] = append(rates[0], s)
		for i, statements := range [][]string{{bareRows}, {bareRows, bareCounters}} {
			id += 2 * everyone
			s, err := p.watch(ctx, &side{name: "counterpart", Process: srv.Process, sql: p.setup.Postgres}, "", func() (int, time.Duration, error) {
				return tellBare(ctx, db, id, statements)
			})
			if err != nil {
				return err
			}
			s.server = 0 // it has none
			rates[i+1] = append(rates[i+1], s)
		}
	}
	if out, err := p.setup.CLI(ctx, "verify-counters"); err != nil {
		return fmt.Errorf("counters drifted: %w\n%s", err, out)
	}
	name := fmt.Sprintf("W4 rows of a send to %s users; INSERT … SELECT of them", count(everyone))
	p.addRates(name, rates[0], rates[1])
	p.addRates(name+" and counters", rates[0], rates[2])
	return nil
}

// readyForNews makes everyone with their choices, and sends the first
// broadcast, which makes their inboxes and is not counted.
func (p *place) readyForNews(ctx context.Context, client *lab.Client) (*pgx.Conn, error) {
	if err := client.Crowd(ctx, "everyone", everyone); err != nil {
		return nil, err
	}
	var made struct {
		CreateCategory struct{ UserErrors []struct{ Message string } }
	}
	err := client.Do(ctx, `mutation { createCategory(input: {identifier: "news", name: "News"}) { userErrors { message } } }`, nil, &made)
	if err != nil || len(made.CreateCategory.UserErrors) > 0 {
		return nil, fmt.Errorf("making a category: %v, %w", made, err)
	}
	db, err := pgx.Connect(ctx, p.setup.Postgres.URL)
	if err != nil {
		return nil, err
	}
	if _, err = db.Exec(ctx, bareChoices, everyone); err == nil {
		_, _, err = tellAll(ctx, client)
	}
	for _, statement := range []string{bareBroadcast, "vacuum analyze"} {
		if err == nil {
			_, err = db.Exec(ctx, statement)
		}
	}
	if err != nil {
		db.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return db, nil
}

// tellAll sends to everyone; it returns how many got it, and how long it took
// until the last of them had.
func tellAll(ctx context.Context, client *lab.Client) (int, time.Duration, error) {
	const text = `mutation { sendNotification(input: {to: {topics: ["everyone"]}, title: "broadcast", category: "news"}) { send { id } userErrors { code path message } } }`
	began := time.Now()
	var sent struct {
		SendNotification struct {
			Send       *struct{ ID string }
			UserErrors []struct{ Message string }
		}
	}
	if err := client.Do(ctx, text, nil, &sent); err != nil || sent.SendNotification.Send == nil {
		return 0, 0, fmt.Errorf("sending: %+v, %w", sent, err)
	}
	// Asking costs too, so it is asked rarely.
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		now, err := client.Progress(ctx, sent.SendNotification.Send.ID)
		switch {
		case err != nil:
			return 0, 0, err
		case now.Status == "SENT" && now.Done+now.Skipped == everyone && now.Skipped == everyone/20:
			return now.Done, time.Since(began), nil
		case now.Status != "EXPANDING":
			return 0, 0, fmt.Errorf("the send ended as %+v", now)
		}
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-look.C:
		}
	}
}

// tellBare runs statements in one transaction.
func tellBare(ctx context.Context, db *pgx.Conn, id int64, statements []string) (n int, took time.Duration, err error) {
	began := time.Now()
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		for i, text := range statements {
			var args []any
			if i == 0 {
				args = []any{id, began.UnixMicro()}
			}
			done, err := tx.Exec(ctx, text, args...)
			if err != nil {
				return err
			}
			n = int(done.RowsAffected())
		}
		return nil
	})
	return n, time.Since(began), err
}
