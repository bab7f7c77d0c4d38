package main

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// bareSchema is what the counterpart keeps sends in: the same counters and seq
// as ours. Inboxes it reads from our tables, so that both read the same rows.
const bareSchema = `
create schema if not exists bare;
create table if not exists bare.sends (id bigint primary key, title text not null, created_at bigint not null);
create table if not exists bare.inboxes (user_id bigint primary key, seq bigint not null, total bigint not null, unseen bigint not null, unread bigint not null);
create table if not exists bare.notifications (id bigint primary key, user_id bigint not null, send_id bigint not null, seq bigint not null, read_at bigint, created_at bigint not null);
create index if not exists bare_inbox on bare.notifications (user_id, created_at, id);
create index if not exists bare_unread on bare.notifications (user_id, created_at, id) where read_at is null;`

type bareItem struct {
	ID        string  `json:"id"`
	Title     string  `json:"title"`
	Body      string  `json:"body"`
	URL       string  `json:"url"`
	CreatedAt string  `json:"createdAt"`
	ReadAt    *string `json:"readAt"`
}

type bareInbox struct {
	Nodes    []bareItem `json:"nodes"`
	Counters struct {
		Total  int64 `json:"total"`
		Unseen int64 `json:"unseen"`
		Unread int64 `json:"unread"`
	} `json:"counters"`
}

// inbox reads the newest items and the counters: two statements.
func (s *bareServer) inbox(ctx context.Context, in bareRequest) (any, error) {
	var out bareInbox
	rows, err := s.db.Query(ctx, `select n.id, n.sort_at, n.read_at, s.title, s.content from notifications n
		join sends s on s.env_id = n.env_id and s.id = n.send_id
		where n.env_id = $1 and n.user_id = $2 and n.in_inbox and n.deleted_at is null and n.archived_at is null
		order by n.sort_at desc, n.id desc limit 20`, in.Env, in.User)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			item       bareItem
			id, sortAt int64
			readAt     *int64
			content    []byte
			inner      struct{ Body, URL string }
		)
		if err := rows.Scan(&id, &sortAt, &readAt, &item.Title, &content); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(content, &inner); err != nil {
			return nil, err
		}
		item.ID, item.CreatedAt, item.Body, item.URL = strconv.FormatInt(id, 10), bareTime(sortAt), inner.Body, inner.URL
		if readAt != nil {
			at := bareTime(*readAt)
			item.ReadAt = &at
		}
		out.Nodes = append(out.Nodes, item)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	c := &out.Counters
	return &out, s.db.QueryRow(ctx, `select total, unseen, unread from inboxes where env_id = $1 and user_id = $2`, in.Env, in.User).Scan(&c.Total, &c.Unseen, &c.Unread)
}

func bareTime(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.999999Z")
}

// bareEvent is what the counterpart's subscribers receive.
type bareEvent struct {
	ID     int64  `json:"id"`
	Title  string `json:"title"`
	Seq    int64  `json:"seq"`
	Unread int64  `json:"unread"`
}

// send saves a send to one user, and publishes it.
func (s *bareServer) send(ctx context.Context, in bareRequest) (any, error) {
	e := bareEvent{ID: s.ids.Add(2), Title: in.Title}
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		now := time.Now().UnixMicro()
		if _, err := tx.Exec(ctx, `insert into bare.sends (id, title, created_at) values ($1, $2, $3)`, e.ID, in.Title, now); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `insert into bare.inboxes as i (user_id, seq, total, unseen, unread) values ($1, 1, 1, 1, 1)
			on conflict (user_id) do update set seq = i.seq + 1, total = i.total + 1, unseen = i.unseen + 1, unread = i.unread + 1
			returning seq, unread`, in.User).Scan(&e.Seq, &e.Unread); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into bare.notifications (id, user_id, send_id, seq, created_at) values ($1, $2, $3, $4, $5)`, e.ID+1, in.User, e.ID, e.Seq, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, s.publish(ctx, e)
}

func (s *bareServer) publish(ctx context.Context, e bareEvent) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return s.bus.Publish(ctx, "bare", b).Err()
}

// sendAll saves a send to everyone on the topic of the crowd, set-wise, and
// publishes it once.
func (s *bareServer) sendAll(ctx context.Context, in bareRequest) (any, error) {
	e := bareEvent{ID: s.ids.Add(2 * people), Title: in.Title}
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		now := time.Now().UnixMicro()
		if _, err := tx.Exec(ctx, `insert into bare.sends (id, title, created_at) values ($1, $2, $3)`, e.ID, in.Title, now); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into bare.inboxes as i (user_id, seq, total, unseen, unread) select user_id, 1, 1, 1, 1 from topic_members where env_id = $1 order by user_id
			on conflict (user_id) do update set seq = i.seq + 1, total = i.total + 1, unseen = i.unseen + 1, unread = i.unread + 1`, in.Env); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into bare.notifications (id, user_id, send_id, seq, created_at)
			select $1::bigint + row_number() over (order by m.user_id), m.user_id, $1, i.seq, $2 from topic_members m join bare.inboxes i on i.user_id = m.user_id where m.env_id = $3`, e.ID, now, in.Env)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, s.publish(ctx, e)
}

// unread counts what is unread, and markAll marks it, both in a copy of our
// table with all its indexes.
func (s *bareServer) unread(ctx context.Context, in bareRequest) (any, error) {
	var n int64
	err := s.db.QueryRow(ctx, `select count(*) from bare_marks.notifications where env_id = $1 and user_id = $2 and in_inbox and deleted_at is null and archived_at is null and read_at is null`,
		in.Env, in.User).Scan(&n)
	return map[string]int64{"unread": n}, err
}

func (s *bareServer) markAll(ctx context.Context, in bareRequest) (any, error) {
	done, err := s.db.Exec(ctx, `update bare_marks.notifications set read_at = $3, seen_at = coalesce(seen_at, $3)
		where env_id = $1 and user_id = $2 and in_inbox and deleted_at is null and archived_at is null and read_at is null`, in.Env, in.User, time.Now().UnixMicro())
	return map[string]int64{"affected": done.RowsAffected()}, err
}
