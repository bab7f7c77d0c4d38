package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"carillon/internal/lab"
)

// world is a set-up with an app, its users, and the servers that run.
type world struct {
	setup   *lab.Setup
	env     lab.Environment
	users   []string
	servers []*lab.Server
	wanted  int // users to make with the first server
	// settings are given to every server.
	settings []string
	metrics  string // where the first server's metrics are, for a story that asks for them
}

// newWorld makes the app; the first server that starts makes n users.
func newWorld(ctx context.Context, s *lab.Setup, n int) (*world, error) {
	env, err := s.CreateApp(ctx, appName, "test")
	if err != nil {
		return nil, err
	}
	return &world{setup: s, env: env, wanted: n}, nil
}

// begun is a world with a server, whose users l is for. The caller must call end
// with how its story ended, also of a world that could not begin.
func begun(ctx context.Context, s *lab.Setup, users int, l *load) (w *world, end func(*error), err error) {
	if w, err = newWorld(ctx, s, users); err != nil {
		return nil, func(*error) {}, err
	}
	if _, err = w.start(ctx); err == nil {
		l.clients, l.users = w.clients(), w.users
	}
	return w, func(err *error) {
		*err = w.withLogs(*err)
		w.close()
	}, err
}

// start runs one more server, on an address of its own.
func (w *world) start(ctx context.Context) (*lab.Server, error) {
	addr, err := lab.FreeAddr()
	if err != nil {
		return nil, err
	}
	srv, _, err := w.setup.ServeOn(ctx, addr, w.settings...)
	if err != nil {
		return nil, err
	}
	w.servers = append(w.servers, srv)
	if w.users == nil {
		w.users, err = w.client(0).Identify(ctx, w.wanted)
	}
	return srv, err
}

// again starts server i once more, at the address that it had, and says how
// long that took.
func (w *world) again(ctx context.Context, i int) (time.Duration, error) {
	srv, took, err := w.setup.ServeOn(ctx, strings.TrimPrefix(w.servers[i].URL, "http://"), w.settings...)
	if err != nil {
		return 0, err
	}
	w.servers[i] = srv
	return took, nil
}

// client is a new back end of server i.
func (w *world) client(i int) *lab.Client { return lab.NewClient(w.servers[i].URL, w.env.SecretKey) }

func (w *world) clients() (list []*lab.Client) {
	for i := range w.servers {
		list = append(list, w.client(i))
	}
	return list
}

func (w *world) urls() (list []string) {
	for _, s := range w.servers {
		list = append(list, s.URL)
	}
	return list
}

// verify counts all inboxes anew.
func (w *world) verify(ctx context.Context) error {
	if out, err := w.setup.CLI(ctx, "verify-counters"); err != nil {
		return fmt.Errorf("counters drifted: %w\n%s", err, out)
	}
	return nil
}

// withLogs adds what the servers said last to an error.
func (w *world) withLogs(err error) error {
	if err == nil {
		return nil
	}
	for _, s := range w.servers {
		err = fmt.Errorf("%w\n%s said last:\n%s", err, s.URL, s.Log())
	}
	return err
}

func (w *world) close() {
	for _, s := range w.servers {
		s.Kill()
	}
}
