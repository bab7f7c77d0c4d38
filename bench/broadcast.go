package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"carillon/internal/lab"
)

// crowd is how many users a broadcast goes to.
const crowd = 100_000

// bareBroadcast are tables like ours, with all their indexes, and an inbox for
// everyone.
const bareBroadcast = `
create schema bare_broadcast;
create table bare_broadcast.notifications (like notifications including all);
create table bare_broadcast.inboxes (like inboxes including all);
insert into bare_broadcast.inboxes select * from inboxes;`

// The counterpart of a broadcast is one statement that knows no preference, no
// progress, no cancelling and no crash; and, to be fair, another that counts.
const (
	bareRows = `insert into bare_broadcast.notifications (env_id, id, user_id, send_id, category_id, sort_at, added_seq, seq, seen_seq, read_seq, in_inbox, reason)
		select env_id, $1::bigint + row_number() over (), user_id, $1::bigint, 0, $2::bigint, 1, 1, 1, 1, true, 12 from topic_members`
	bareCounters = `update bare_broadcast.inboxes set seq = seq + 1, total = total + 1, unseen = unseen + 1, unread = unread + 1`
)

// broadcast measures one send to a topic of 100,000 users who are offline, from
// asking for it to its end, beside a bare INSERT … SELECT of the same rows.
func (p *place) broadcast(ctx context.Context) error {
	env, err := p.setup.CreateApp(ctx, "broadcast", "test")
	if err != nil {
		return err
	}
	srv, _, err := p.setup.Serve(ctx)
	if err != nil {
		return err
	}
	defer srv.Kill()
	client := lab.NewPatientClient(srv.URL, env.SecretKey, time.Minute)
	if err := client.Crowd(ctx, "all", crowd); err != nil {
		return err
	}
	db, err := pgx.Connect(ctx, p.setup.Postgres.URL)
	if err != nil {
		return err
	}
	defer db.Close(context.WithoutCancel(ctx))
	// The first one makes everyone's inbox, and is not counted.
	if _, err := tellAll(ctx, client); err != nil {
		return err
	}
	for _, statement := range []string{bareBroadcast, "vacuum analyze"} {
		if _, err := db.Exec(ctx, statement); err != nil {
			return err
		}
	}
	var ours, rows, counted []float64
	for round := range p.rounds {
		took, err := tellAll(ctx, client)
		if err != nil {
			return err
		}
		ours = append(ours, crowd/took.Seconds())
		alone, both, err := tellBare(ctx, db, int64(round+1)<<40)
		if err != nil {
			return err
		}
		rows, counted = append(rows, crowd/alone.Seconds()), append(counted, crowd/both.Seconds())
	}
	if out, err := p.setup.CLI(ctx, "verify-counters"); err != nil {
		return fmt.Errorf("counters drifted: %w\n%s", err, out)
	}
	a := median(ours)
	add := func(what string, b float64) {
		p.add(fmt.Sprintf("W4 rows/s of a send to %d users; %s", crowd, what), fmt.Sprintf("%.0f", a), fmt.Sprintf("%.0f", b), fmt.Sprintf("%.2f", a/b))
	}
	add("INSERT … SELECT of the rows", median(rows))
	add("the same, and counters", median(counted))
	return nil
}

// tellAll sends to everyone, and returns how long it took until they had it.
func tellAll(ctx context.Context, client *lab.Client) (time.Duration, error) {
	began := time.Now()
	sent, err := client.Broadcast(ctx, "all", "broadcast", "")
	if err != nil {
		return 0, err
	}
	// Asking costs too, so it is asked rarely.
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		now, err := client.Progress(ctx, sent.ID)
		switch {
		case err != nil:
			return 0, err
		case now.Status == "SENT" && now.Done == crowd:
			return time.Since(began), nil
		case now.Status != "EXPANDING":
			return 0, fmt.Errorf("the send ended as %+v", now)
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-look.C:
		}
	}
}

// tellBare writes the rows, and the rows with their counters, each in one
// transaction.
func tellBare(ctx context.Context, db *pgx.Conn, id int64) (alone, both time.Duration, err error) {
	now := time.Now()
	if _, err := db.Exec(ctx, bareRows, id, now.UnixMicro()); err != nil {
		return 0, 0, err
	}
	alone = time.Since(now)
	now = time.Now()
	err = pgx.BeginFunc(ctx, db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, bareRows, id+2*crowd, now.UnixMicro()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, bareCounters)
		return err
	})
	return alone, time.Since(now), err
}
