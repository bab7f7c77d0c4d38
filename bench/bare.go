package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// bareSchema is the counterpart's tables: the same counters and seq.
const bareSchema = `
create schema if not exists bare;
create table if not exists bare.sends (id bigint primary key, title text not null, created_at bigint not null);
create table if not exists bare.inboxes (user_id bigint primary key, seq bigint not null, total bigint not null, unseen bigint not null, unread bigint not null);
create table if not exists bare.notifications (id bigint primary key, user_id bigint not null, send_id bigint not null, seq bigint not null, read_at bigint, created_at bigint not null);
create index if not exists bare_inbox on bare.notifications (user_id, created_at, id);
create index if not exists bare_unread on bare.notifications (user_id, created_at, id) where read_at is null;`

// bareServer is the counterpart: one commit a send, one publish a send, one
// goroutine and one Redis subscription a socket.
type bareServer struct {
	db  *pgxpool.Pool
	bus *redis.Client
	ids atomic.Int64
}

// bareEvent is what the counterpart's subscribers receive.
type bareEvent struct {
	ID     int64  `json:"id"`
	Title  string `json:"title"`
	Seq    int64  `json:"seq"`
	Unread int64  `json:"unread"`
}

func serveBare(ctx context.Context, addr, databaseURL, redisURL string) error {
	db, err := pgxpool.New(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(ctx, bareSchema); err != nil {
		return err
	}
	opts, err := redis.ParseURL(redisURL)
	if err != nil {
		return err
	}
	s := &bareServer{db: db, bus: redis.NewClient(opts)}
	s.ids.Store(time.Now().UnixMicro())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /send", s.send)
	mux.HandleFunc("GET /ws", s.subscribe)
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *bareServer) send(w http.ResponseWriter, r *http.Request) {
	var in struct {
		User  int64  `json:"user"`
		Title string `json:"title"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	event, err := s.save(r.Context(), in.User, in.Title)
	if err == nil {
		var b []byte
		if b, err = json.Marshal(event); err == nil {
			err = s.bus.Publish(r.Context(), "bare", b).Err()
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(event)
}

func (s *bareServer) save(ctx context.Context, user int64, title string) (bareEvent, error) {
	e := bareEvent{ID: s.ids.Add(2), Title: title}
	now := time.Now().UnixMicro()
	tx, err := s.db.Begin(ctx)
	if err != nil {
		return e, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after a commit it does nothing
	if _, err := tx.Exec(ctx, `insert into bare.sends (id, title, created_at) values ($1, $2, $3)`, e.ID, title, now); err != nil {
		return e, err
	}
	if err := tx.QueryRow(ctx, `insert into bare.inboxes as i (user_id, seq, total, unseen, unread) values ($1, 1, 1, 1, 1)
		on conflict (user_id) do update set seq = i.seq + 1, total = i.total + 1, unseen = i.unseen + 1, unread = i.unread + 1
		returning seq, unread`, user).Scan(&e.Seq, &e.Unread); err != nil {
		return e, err
	}
	if _, err := tx.Exec(ctx, `insert into bare.notifications (id, user_id, send_id, seq, created_at) values ($1, $2, $3, $4, $5)`, e.ID+1, user, e.ID, e.Seq, now); err != nil {
		return e, err
	}
	return e, tx.Commit(ctx)
}

func (s *bareServer) subscribe(w http.ResponseWriter, r *http.Request) {
	sub := s.bus.Subscribe(r.Context(), "bare")
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		_ = sub.Close()
		return
	}
	go func() {
		defer conn.Close()
		defer sub.Close()
		for m := range sub.Channel() {
			if wsutil.WriteServerText(conn, []byte(m.Payload)) != nil {
				return
			}
		}
	}()
}
