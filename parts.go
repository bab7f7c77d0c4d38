package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"carillon/app"
	"carillon/audience"
	"carillon/auth"
	"carillon/catalog"
	"carillon/delivery"
	"carillon/graph/view"
	"carillon/inbox"
	"carillon/internal/config"
	"carillon/internal/dial"
	"carillon/live"
	"carillon/live/redis"
	"carillon/notify"
	"carillon/store"
	"carillon/user"
	"carillon/webhook"
)

// parts are the services over one database: what the server and the command
// line have in common, and what only the server needs.
type parts struct {
	store *store.Store
	apps  *app.Service

	hub      *live.Hub
	bus      *redis.Bus // nil without Redis
	users    *user.Service
	catalog  *catalog.Service
	template *catalog.Templates
	layouts  *catalog.Layouts
	audience *audience.Service
	segments *audience.Segments
	inboxes  *inbox.Service
	sends    *notify.Service
	delivery *delivery.Service
	webhooks *webhook.Service
	auth     *auth.Service
	sessions *auth.Sessions
}

// openWithin bounds how long a start waits for a database that does not answer.
const openWithin = 15 * time.Second

// openParts opens the database and builds the services on it. A database that
// cannot be reached is an error; a Redis that cannot is not.
func openParts(ctx context.Context, cfg config.Config, log *slog.Logger) (*parts, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	s, err := store.Open(ctx, store.Config{URL: cfg.Database(), MaxConns: conns(cfg)})
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	if done, ok := s.FoundRestored(); ok {
		log.Warn("the database is a copy from before: streams begin anew, and what was on its way is held, see docs/backup.md",
			"deliveries", done.Held, "sends", done.InboxOnly)
	}
	p := &parts{store: s}
	if err := p.build(ctx, cfg, log); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func conns(cfg config.Config) int {
	if store.IsPostgres(cfg.Database()) {
		return cfg.DatabaseConns
	}
	return 0
}

func (p *parts) build(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	box, err := openBox(ctx, cfg, p.store, log)
	if err != nil {
		return err
	}
	bus, err := p.openBus(cfg, log)
	if err != nil {
		return err
	}
	p.hub = live.NewHub(live.Config{Bus: bus, Heads: p.store, Log: log})
	p.apps = &app.Service{Store: p.store, Keys: auth.Keys{Box: box}}
	guard := dial.Guard{Allow: cfg.OutgoingAllow}
	p.users = &user.Service{Store: p.store, Live: p.hub, Guard: guard, Log: log}
	p.catalog = &catalog.Service{Store: p.store}
	p.template = &catalog.Templates{Store: p.store, Users: p.users}
	p.layouts = &catalog.Layouts{Store: p.store}
	p.audience = &audience.Service{Store: p.store}
	p.segments = &audience.Segments{Store: p.store, Log: log}
	p.inboxes = &inbox.Service{Store: p.store, Live: p.hub, Templates: p.template, Logger: log}
	p.sends = &notify.Service{Store: p.store, Users: p.users, Catalog: p.catalog, Templates: p.template, Segments: p.segments, Live: p.hub, Log: log, MaxQueue: cfg.MaxQueuedSends}
	if store.IsPostgres(cfg.Database()) {
		p.sends.Expanders = 2 // SQLite has one writer, which two would only compete for
	}
	p.auth = auth.NewService(auth.Config{Lookup: p.store, Box: box, Users: p.store, Saw: p.users.Saw, Log: log})
	p.sessions = auth.NewSessions(p.store, log)
	out := dial.New(dial.Config{Guard: guard})
	p.delivery = &delivery.Service{
		Store: p.store, Kinds: kinds(p.apps), Box: box, PublicURL: cfg.PublicURL, Live: p.hub, Changed: p.auth.Forget, Log: log, Render: rendering{p.template}, Lease: cfg.Lease,
		Outside: delivery.Outside{Dial: out.DialContext, HTTP: out.HTTP(), Guard: out.Guard, TLS: out.TLS()},
	}
	p.sends.Deliver = p.delivery.Wake
	p.webhooks = &webhook.Service{
		Store: p.store, Box: box, HTTP: out.HTTP(), Guard: out.Guard, Show: view.WebhookData, Name: view.WebhookEventID, Keep: cfg.WebhooksKept, Lease: cfg.Lease, Log: log,
	}
	return nil
}

// openBus returns nil when live updates stay within this process.
func (p *parts) openBus(cfg config.Config, log *slog.Logger) (live.Bus, error) {
	if cfg.RedisURL == "" {
		return nil, nil //nolint:nilnil // no bus is a bus of one
	}
	bus, err := redis.New(redis.Config{URL: string(cfg.RedisURL), Namespace: fmt.Sprintf("%x", p.store.Epoch()), Log: log})
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	p.bus = bus
	return bus, nil
}

// close lets go of everything. What runs on the parts must have stopped.
func (p *parts) close() error {
	var errs []error
	if p.bus != nil {
		errs = append(errs, p.bus.Close())
	}
	return errors.Join(append(errs, p.store.Close())...)
}
