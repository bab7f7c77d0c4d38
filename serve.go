package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"sync"
	"time"

	"carillon/auth"
	"carillon/graph"
	"carillon/graph/operation"
	"carillon/graph/transport"
	"carillon/internal/admission"
	"carillon/internal/config"
	"carillon/internal/door"
	"carillon/internal/id"
	"carillon/internal/metrics"
	"carillon/internal/ratelimit"
	"carillon/internal/reqlog"
	"carillon/internal/shed"
	"carillon/model"
	"carillon/playground"
	"carillon/rest/engagespot/socketio"
	"carillon/rest/ops"
	"carillon/store"
)

// serve runs the server until ctx is done, then lets it finish what it has
// accepted.
func (p *program) serve(ctx context.Context, args []string) error {
	cfg, log, err := p.settings()
	if err != nil {
		return err
	}
	fs := p.flags("serve")
	fs.TextVar(&cfg.Role, "role", cfg.Role, "what this process does: `all`, or api and worker by comma")
	if err := p.parse(fs, args); err != nil {
		return err
	}
	if !store.IsPostgres(cfg.Database()) {
		unlock, err := lockDataDir(cfg.DataDir)
		if err != nil {
			return err
		}
		defer unlock()
	} else if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("DATA_DIR: %w", err)
	}
	defer ballasted()()
	s, err := newServer(ctx, cfg, log)
	if err != nil {
		return err
	}
	s.compareClocks(ctx)
	s.metrics.Counter("carillon_log_lines_dropped_total", "Lines of the log that were dropped, since it was not taken as fast as they came, or could not be written.",
		func() float64 { return float64(p.log.dropped.Load()) })
	if s.demo != "" {
		fmt.Fprintf(p.stdout, firstSend, baseURL(cfg.Addr), s.demo)
	}
	return s.run(ctx)
}

// clocksDiffer is from when on a clock that goes wrong is worth a warning.
const clocksDiffer = 10 * time.Second

// compareClocks warns when this machine's clock and the database's differ.
func (s *server) compareClocks(ctx context.Context) {
	lag, err := s.parts.store.ClockLag(ctx)
	if err != nil || lag.Abs() >= clocksDiffer {
		s.log.WarnContext(ctx, "this machine's clock and the database's differ: what has a time comes early or late by as much", "database_is_ahead_by", lag.Round(time.Second).String(), "error", err)
	}
}

// server is one running process: its listeners, its loops, and the parts they
// work on.
type server struct {
	cfg      config.Config
	log      *slog.Logger
	parts    *parts
	api      *graph.API
	realtime *socketio.Handler
	gate     *shed.Gate
	desk     *admission.Desk
	limiter  *auth.Limiter
	health   *ops.Health
	metrics  *metrics.Metrics
	demo     string // where the demo keys are; "" when there is no demo

	listener        net.Listener
	metricsListener net.Listener // nil when switched off
}

// idleTimeout is how long a connection may be unused, and headTimeout how long the head
// of a request may take.
const (
	idleTimeout = 60 * time.Second
	headTimeout = 5 * time.Second
)

// patience is how long an operation waits for a place when the server is busy:
// long enough for a burst to pass, short enough for a person.
const patience = 250 * time.Millisecond

// newServer opens the database and the listeners, so that whatever is wrong is
// said before the process claims to run.
func newServer(ctx context.Context, cfg config.Config, log *slog.Logger) (s *server, err error) {
	s = &server{cfg: cfg, log: log, metrics: metrics.New(), gate: shed.New(cfg.MaxConcurrent, patience)}
	if s.parts, err = openParts(ctx, cfg, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.demo, err = ensureDemo(ctx, cfg, s.parts); err != nil {
		return nil, err
	}
	s.health = &ops.Health{Database: s.parts.store.Ping, Warnings: s.warnings}
	s.desk = admission.New(admission.Rates{Environment: rate(cfg.RateEnvironment), User: rate(cfg.RateUser), Address: rate(cfg.RateAddress)}, s.gate)
	s.limiter = auth.NewLimiter(cfg.MaxWrongCredentials)
	if s.api, err = graph.New(s.graphConfig()); err != nil {
		return nil, err
	}
	s.realtime = s.openRealtime()
	s.gauges()
	return s, s.listen(ctx)
}

func (s *server) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", s.cfg.Addr); err != nil {
		return fmt.Errorf("ADDR: %w", err)
	}
	if s.cfg.MetricsAddr != "off" {
		if s.metricsListener, err = lc.Listen(ctx, "tcp", s.cfg.MetricsAddr); err != nil {
			return fmt.Errorf("METRICS_ADDR: %w (another process may have it: set another address, or off)", err)
		}
	}
	return nil
}

// warnings is what works, but later or slower than it should.
func (s *server) warnings() []string {
	var list []string
	switch {
	case s.cfg.RedisURL != "" && !s.parts.hub.Healthy():
		list = append(list, "Redis does not answer: live updates of other processes are up to 5 seconds late")
	case s.cfg.RedisURL == "" && store.IsPostgres(s.cfg.Database()):
		list = append(list, "REDIS_URL is not set: live updates of other processes are up to 5 seconds late")
	}
	return list
}

// status is what the API says of this server.
func (s *server) status(context.Context) graph.Status {
	warnings := s.warnings()
	return graph.Status{
		Version: version, Database: s.parts.store.Database(), Warnings: warnings,
		LiveAcrossProcesses: s.cfg.RedisURL != "" && s.parts.hub.Healthy(),
	}
}

// graphConfig hands the settings and the parts to the API.
func (s *server) graphConfig() graph.Config {
	c := s.cfg
	return graph.Config{
		Users: s.parts.users, Categories: s.parts.catalog, Topics: s.parts.audience, Segments: s.parts.segments, Templates: s.parts.template, Layouts: s.parts.layouts, Apps: s.parts.apps, Inbox: s.parts.inboxes, Sends: s.parts.sends, Deliveries: s.parts.delivery,
		Auth: s.parts.auth, Sessions: s.parts.sessions, Limiter: s.limiter,
		Webhooks: s.parts.webhooks,
		Limits: operation.Limits{
			Tokens: c.MaxTokens, Depth: c.MaxDepth, Aliases: c.MaxAliases, RootFields: c.MaxRootFields,
			Mutations: c.MaxMutations, Directives: c.MaxDirectives,
		},
		Settings: transport.Settings{
			Body: int64(c.MaxBody), RequestTimeout: c.Timeout, Connections: c.MaxConnections, UserConnections: c.MaxUserConns,
			Message: c.MaxFrame, Subscriptions: c.MaxSubscriptions,
		},
		Admission: s.desk, AnswerCache: c.AnswerCache,
		UserCost: c.MaxUserCost, ApplicationCost: c.MaxSecretCost, NoIntrospection: !c.Introspect,
		Status: s.status, Log: s.log,
	}
}

// rate allows bursts of twice what it gives in a second.
func rate(perSecond int) ratelimit.Rate {
	return ratelimit.Rate{PerSecond: float64(perSecond), Burst: 2 * float64(perSecond)}
}

// gauges has the parts' own numbers read at each scrape.
func (s *server) gauges() {
	streams, hub := s.api.Stats(), s.parts.hub.Stats
	gauge := func(name, help string, read func() int64) {
		s.metrics.Gauge(name, help, func() float64 { return float64(read()) })
	}
	counter := func(name, help string, read func() int64) {
		s.metrics.Counter(name, help, func() float64 { return float64(read()) })
	}
	gauge("carillon_websockets", "Open WebSockets.", streams.Sockets.Load)
	sockets := s.realtime.Stats()
	gauge("carillon_socketio_sockets", "Open WebSockets of socket.io clients.", sockets.Sockets.Load)
	gauge("carillon_socketio_sessions", "Users on sockets of socket.io clients.", sockets.Sessions.Load)
	gauge("carillon_socketio_frames_waiting", "Frames that wait for a slow socket.io client.", sockets.Blocked.Load)
	counter("carillon_socketio_frames_total", "Frames written to socket.io clients.", func() int64 { return int64(sockets.Frames.Load()) })
	counter("carillon_socketio_slow_readers_total", "Socket.io clients dropped because they did not read.", func() int64 { return int64(sockets.SlowReaders.Load()) })
	gauge("carillon_event_streams", "Open server-sent event streams.", streams.Streams.Load)
	gauge("carillon_subscriptions", "Open subscriptions.", streams.Subscriptions.Load)
	gauge("carillon_frames_waiting", "Frames that wait for a slow reader.", streams.Blocked.Load)
	counter("carillon_frames_total", "Frames and events written.", func() int64 { return int64(streams.Frames.Load()) })
	counter("carillon_slow_readers_total", "Connections dropped because they did not read.", func() int64 { return int64(streams.SlowReaders.Load()) })
	counter("carillon_hints_published_total", "Hints published.", func() int64 { return hub().Published })
	counter("carillon_hints_dropped_total", "Hints that other processes did not get; they heal.", func() int64 { return hub().Dropped })
	counter("carillon_streams_healed_total", "Changes found by comparing with the database.", func() int64 { return hub().Healed })
	gauge("carillon_live_watchers", "Watchers of inboxes and sends.", func() int64 { return hub().Watchers })
	gauge("carillon_operations", "Operations being worked on.", func() int64 { return int64(s.gate.Stats().Busy) })
	gauge("carillon_operations_places", "Operations that may be worked on at once, as the server has found out.", func() int64 { return int64(s.gate.Stats().Places) })
	gauge("carillon_operations_waiting", "Operations that wait for a place.", func() int64 { return int64(s.gate.Stats().Waiting) })
	counter("carillon_operations_shed_total", "Operations refused because the server was busy.", func() int64 {
		r := s.gate.Stats().Refused
		return r[shed.Reading] + r[shed.Sending] + r[shed.Searching]
	})
	counter("carillon_rate_limited_total", "Requests and operations refused because a user, an environment or an address was over its rate.", s.desk.Limited)
	s.deliveryGauges()
	s.webhookGauges()
	gauge("carillon_bus_up", "1 while hints of other processes are thought to arrive.", func() int64 {
		if s.parts.hub.Healthy() {
			return 1
		}
		return 0
	})
}

// handler is everything on the API's port.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	s.health.Mount(mux)
	if s.cfg.Role.API {
		mux.Handle(graph.Path, s.api)
		s.mountLive(mux)
		if s.playground() {
			(&playground.Playground{Presets: demoPresets(s.demo)}).Mount(mux)
		}
	}
	logged := reqlog.Middleware{Log: s.log, IDs: new(id.Source), Observe: s.metrics.Request}
	var root http.Handler = &front{mux: mux, api: s.cfg.Role.API, playground: s.cfg.Role.API && s.playground()}
	if s.cfg.Role.API {
		root = s.dialects(root)
	}
	root = linger(logged.Wrap(root))
	if s.cfg.Role.API {
		root = s.api.Door(root)
	}
	return root
}

// playground reports whether the playground is served: where it is not said,
// in embedded mode only.
func (s *server) playground() bool {
	if s.cfg.Playground != nil {
		return *s.cfg.Playground
	}
	return !store.IsPostgres(s.cfg.Database())
}

// run serves until ctx is done, then shuts down in order: say so, let go of
// streams, finish requests, finish background work, close.
func (s *server) run(ctx context.Context) error {
	var unused unusedConns
	entrance := door.Listen(s.listener, s.api.Keeper(), idleTimeout, headTimeout)
	api := &http.Server{
		ConnState: func(c net.Conn, state http.ConnState) {
			entrance.Track(c, state)
			unused.track(c, state)
		},
		Handler: s.handler(), ReadHeaderTimeout: headTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 2)
	go func() { failed <- api.Serve(entrance) }()
	if s.metricsListener != nil {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", s.metrics.Handler())
		if s.cfg.Profiles {
			profiles(mux)
		}
		numbers := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
		go func() { failed <- numbers.Serve(s.metricsListener) }()
		defer numbers.Close()
	}
	// The loops outlive ctx: what was accepted is finished with them running.
	loops, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	running := s.start(loops)
	s.log.InfoContext(ctx, "listening", "addr", s.listener.Addr().String(), "database", s.parts.store.Database(), "version", version)

	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = s.drain(context.WithoutCancel(ctx), api, &unused)
	}
	s.parts.sends.Close()
	stopLoops()
	running.Wait()
	return errors.Join(err, s.close())
}

// profiles mounts what Go can tell of a running process.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// start runs the loops of this process's roles until ctx is done.
func (s *server) start(ctx context.Context) *sync.WaitGroup {
	var wg sync.WaitGroup
	wg.Go(func() { s.parts.hub.Run(ctx) })
	if s.cfg.Role.API {
		wg.Go(func() { s.parts.sessions.Run(ctx) })
		wg.Go(func() { s.parts.auth.Run(ctx) })
		wg.Go(func() { s.parts.users.RunSeen(ctx) })
	}
	if s.cfg.Role.Worker {
		wg.Go(func() { s.parts.sends.Run(ctx) })
		wg.Go(func() { s.parts.delivery.Run(ctx) })
		wg.Go(func() { s.parts.users.RunErasures(ctx) })
		wg.Go(func() { s.parts.segments.Run(ctx) })
		wg.Go(func() { s.parts.users.RunImports(ctx) })
		wg.Go(func() { s.parts.inboxes.RunSweeper(ctx) })
		wg.Go(func() {
			s.parts.inboxes.RunJanitor(ctx, model.Retention{Tombstones: s.cfg.Tombstones, Items: s.cfg.Retention, Cap: s.cfg.InboxCap})
		})
		wg.Go(func() { s.forgetAnswers(ctx) })
		wg.Go(func() { s.parts.webhooks.Run(ctx) })
	}
	return &wg
}

// forgetAnswers drops the results of old idempotency keys, a few at a time.
func (s *server) forgetAnswers(ctx context.Context) {
	const (
		every = time.Minute
		batch = 500
	)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for n := batch; n == batch && ctx.Err() == nil; {
			var err error
			if n, err = s.parts.store.ForgetAnswers(ctx, batch); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "forgetting old answers", "error", err)
			}
		}
	}
}

// drain stops taking requests and finishes those that were accepted.
func (s *server) drain(ctx context.Context, api *http.Server, unused *unusedConns) error {
	s.log.InfoContext(ctx, "shutting down")
	s.health.Drain()
	if s.cfg.DrainDelay > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(s.cfg.DrainDelay):
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Grace)
	defer cancel()
	// Streams are told to come back while requests in flight go on.
	drained := make(chan error, 2)
	go func() { drained <- s.api.Drain(ctx) }()
	go func() { drained <- s.realtime.Drain(ctx) }()
	done := make(chan struct{})
	go unused.closeUntil(done)
	err := api.Shutdown(ctx)
	close(done)
	if err := errors.Join(err, <-drained, <-drained); err != nil {
		return fmt.Errorf("some requests did not end within %s: %w", s.cfg.Grace, err)
	}
	return nil
}

func (s *server) close() error {
	for _, l := range []net.Listener{s.listener, s.metricsListener} {
		if l != nil {
			_ = l.Close() // closed already when it was served
		}
	}
	return s.parts.close()
}

// demoPresets reads the demo's keys for the playground.
func demoPresets(path string) []playground.Preset {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	keys := map[string]string{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			keys[name] = value
		}
	}
	return []playground.Preset{
		{Name: "Demo user ada", Key: keys["CARILLON_API_KEY"], User: "ada"},
		{Name: "Demo back end (secret key)", Authorization: "Bearer " + keys["CARILLON_SECRET_KEY"]},
	}
}
