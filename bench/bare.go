package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// bareServer is the counterpart, as one writes it by hand in an afternoon: a
// pool, one statement after the other, one commit a send, one publish a send,
// one goroutine a socket.
type bareServer struct {
	db  *pgxpool.Pool
	bus *redis.Client
	ids atomic.Int64

	mu      sync.Mutex
	sockets map[chan []byte]struct{}
}

func serveBare(ctx context.Context, addr, databaseURL, redisURL string) error {
	db, err := pgxpool.New(ctx, databaseURL+"&pool_max_conns=16")
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
	s := &bareServer{db: db, bus: redis.NewClient(opts), sockets: map[chan []byte]struct{}{}}
	s.ids.Store(time.Now().UnixMicro())
	hints := s.bus.Subscribe(ctx, "bare")
	defer hints.Close()
	go s.spread(hints)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /inbox", bareHandler(s.inbox))
	mux.HandleFunc("POST /unread", bareHandler(s.unread))
	mux.HandleFunc("POST /markall", bareHandler(s.markAll))
	mux.HandleFunc("POST /send", bareHandler(s.send))
	mux.HandleFunc("POST /sendall", bareHandler(s.sendAll))
	mux.HandleFunc("GET /ws", s.subscribe)
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

// bareRequest is everything that the counterpart can be asked.
type bareRequest struct {
	Env, User int64
	Title     string
}

func bareHandler(serve func(context.Context, bareRequest) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in bareRequest
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := serve(r.Context(), in)
		var b []byte
		if err == nil {
			b, err = json.Marshal(out)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b)
	}
}

// spread hands what is published to every socket.
func (s *bareServer) spread(hints *redis.PubSub) {
	for m := range hints.Channel(redis.WithChannelSize(1000)) {
		payload := []byte(m.Payload)
		s.mu.Lock()
		for socket := range s.sockets {
			socket <- payload
		}
		s.mu.Unlock()
	}
}

// subscribe has the handler return and one goroutine write; another of its own
// would be needed to read, which the counterpart spares itself.
func (s *bareServer) subscribe(w http.ResponseWriter, r *http.Request) {
	conn, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	socket := make(chan []byte, 64)
	s.mu.Lock()
	s.sockets[socket] = struct{}{}
	s.mu.Unlock()
	go func() {
		for payload := range socket {
			if wsutil.WriteServerText(conn, payload) != nil {
				break
			}
		}
		_ = conn.Close()
		go func() { // so that spread does not wait for it meanwhile
			s.mu.Lock()
			delete(s.sockets, socket)
			s.mu.Unlock()
			close(socket)
		}()
		for range socket { //nolint:revive // what came meanwhile is nobody's
		}
	}()
}
