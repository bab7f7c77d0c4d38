package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"carillon/model"
)

// surroundings is what deliveries of one environment depend on, as it is now.
type surroundings struct {
	env           model.Environment
	categories    map[model.CategoryID]model.Category
	notifications map[model.NotificationID]model.Notification
	sends         map[model.SendID]model.Send
	options       map[model.SendID]model.SendOptions
	files         files
	users         map[model.UserID]model.User
	recipients    map[model.UserID]model.Recipient
	addresses     map[model.UserID][]model.Address // that are enabled
	suppressed    map[model.ChannelAddress]bool
}

func (s *Service) surroundings(ctx context.Context, env model.EnvID, list []claimed) (*surroundings, error) {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	x := &surroundings{
		categories: map[model.CategoryID]model.Category{}, notifications: map[model.NotificationID]model.Notification{},
		users: map[model.UserID]model.User{}, recipients: map[model.UserID]model.Recipient{}, addresses: map[model.UserID][]model.Address{},
	}
	var err error
	if x.env, err = s.Store.Environment(ctx, env); err != nil {
		return nil, fmt.Errorf("reading environment: %w", err)
	}
	if err := x.readSends(ctx, s.Store, list); err != nil {
		return nil, err
	}
	return x, x.readUsers(ctx, s.Store, list)
}

func (x *surroundings) readSends(ctx context.Context, store Queue, list []claimed) error {
	env := x.env.ID
	found, err := store.Notifications(ctx, env, each(list, func(c claimed) model.NotificationID { return c.NotificationID }))
	if err != nil {
		return fmt.Errorf("reading notifications: %w", err)
	}
	for _, n := range found {
		x.notifications[n.ID] = n
	}
	sends := each(list, func(c claimed) model.SendID { return c.SendID })
	if x.sends, err = store.Sends(ctx, env, sends); err != nil {
		return fmt.Errorf("reading sends: %w", err)
	}
	if x.options, err = store.SendOptions(ctx, env, sends); err != nil {
		return err
	}
	all, err := store.Categories(ctx, env)
	if err != nil {
		return fmt.Errorf("reading categories: %w", err)
	}
	for _, c := range all {
		x.categories[c.ID] = c
	}
	return nil
}

func (x *surroundings) readUsers(ctx context.Context, store Queue, list []claimed) error {
	env := x.env.ID
	ids := each(list, func(c claimed) model.UserID { return c.UserID })
	users, err := store.UsersByID(ctx, env, ids)
	if err != nil {
		return fmt.Errorf("reading users: %w", err)
	}
	q := model.RecipientQuery{}
	refs := make([]model.UserRef, 0, len(users))
	for _, u := range users {
		x.users[u.ID] = u
		q.Keys = append(q.Keys, model.RecipientKey{Env: env, ID: u.ID})
		refs = append(refs, model.UserRef{Env: env, ID: u.ID})
	}
	for _, n := range x.notifications {
		if n.CategoryID != 0 && !slices.Contains(q.Categories, n.CategoryID) {
			q.Categories = append(q.Categories, n.CategoryID)
		}
	}
	recipients, err := store.Recipients(ctx, q)
	if err != nil {
		return fmt.Errorf("reading recipients: %w", err)
	}
	for _, r := range recipients {
		x.recipients[r.ID] = r
	}
	addresses, err := store.Addresses(ctx, refs)
	if err != nil {
		return fmt.Errorf("reading addresses: %w", err)
	}
	var asked []model.ChannelAddress
	for ref, all := range addresses {
		for _, a := range all {
			if a.Enabled {
				x.addresses[ref.ID] = append(x.addresses[ref.ID], a)
				asked = append(asked, model.ChannelAddress{Env: env, Channel: a.Channel, Address: a.Value})
			}
		}
	}
	for _, o := range x.options {
		for channel, address := range o.Destinations {
			asked = append(asked, model.ChannelAddress{Env: env, Channel: channel, Address: address})
		}
	}
	if x.suppressed, err = store.Suppressed(ctx, asked); err != nil {
		return fmt.Errorf("reading suppressions: %w", err)
	}
	return nil
}

// reach are the addresses that the deliveries of a send to a user may be for.
func (x *surroundings) reach(d model.Delivery) []model.Address {
	all := x.addresses[d.UserID]
	if to := x.options[d.SendID].Destinations[d.Channel]; to != "" {
		all = append(slices.Clone(all), model.Address{Channel: d.Channel, Value: to, Enabled: true})
	}
	return all
}

// category finds the category of a send; nil: none, or one that was deleted.
func (x *surroundings) category(id model.CategoryID) *model.Category {
	if c, ok := x.categories[id]; ok {
		return &c
	}
	return nil
}

// each is one member of each item, every value once.
func each[T any, V comparable](list []T, get func(T) V) []V {
	seen := make(map[V]bool, len(list))
	var out []V
	for _, item := range list {
		if v := get(item); !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// providerCatalog holds the providers of the environments that have something
// due.
type providerCatalog struct {
	mu   sync.Mutex
	envs map[model.EnvID]readProviders
}

type readProviders struct {
	at     time.Time
	stale  bool                               // something has changed since
	byLane map[model.Channel][]model.Provider // enabled ones, in order
}

// kept is how long providers stay known after they were read: longer than what
// was claimed then is worked on.
const kept = 10 * time.Minute

// read reads the providers of the lanes' environments, unless it did so just
// now.
func (c *providerCatalog) read(ctx context.Context, s *Service, lanes []model.DueLane) error {
	now := time.Now()
	c.mu.Lock()
	stale := each(lanes, func(l model.DueLane) model.EnvID { return l.Env })
	stale = slices.DeleteFunc(stale, func(env model.EnvID) bool { return !c.envs[env].stale && now.Sub(c.envs[env].at) < fresh })
	c.mu.Unlock()
	if len(stale) == 0 {
		return nil
	}
	list, err := s.Store.Providers(ctx, stale...)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.envs == nil {
		c.envs = map[model.EnvID]readProviders{}
	}
	if len(c.envs) > 10_000 {
		maps.DeleteFunc(c.envs, func(_ model.EnvID, r readProviders) bool { return now.Sub(r.at) > kept })
	}
	for _, env := range stale {
		c.envs[env] = readProviders{at: now, byLane: map[model.Channel][]model.Provider{}}
	}
	for _, p := range list {
		if p.Enabled {
			c.envs[p.EnvID].byLane[p.Channel] = append(c.envs[p.EnvID].byLane[p.Channel], p)
		}
	}
	return nil
}

// of lists the providers of a lane that are not disabled, in their order.
func (c *providerCatalog) of(l model.Lane) []model.Provider {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.envs[l.Env].byLane[l.Channel]
}

// forget has the providers of an environment read again before more is claimed.
// What was claimed goes on with those that were known: without any it would end.
func (c *providerCatalog) forget(env model.EnvID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.envs[env]; ok {
		r.stale = true
		c.envs[env] = r
	}
}

// senders keeps senders as long as their provider's settings stay what they
// are, with the places that each has.
type senders struct {
	mu   sync.Mutex
	made map[model.ProviderRef]*madeSender
}

type madeSender struct {
	Sender
	err       error // the settings make no sender
	updatedAt time.Time
	places    chan struct{}
}

func (s *Service) madeSender(p model.Provider) *madeSender {
	c := &s.worker.senders
	ref := model.ProviderRef{Env: p.EnvID, ID: p.ID}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.made[ref]; m != nil && m.updatedAt.Equal(p.UpdatedAt) {
		return m
	}
	if c.made == nil || len(c.made) > 10_000 {
		c.made = map[model.ProviderRef]*madeSender{}
	}
	m := &madeSender{updatedAt: p.UpdatedAt, places: make(chan struct{}, orDefault(p.Concurrency, model.DefaultConcurrency))}
	m.Sender, m.err = s.sender(p)
	c.made[ref] = m
	return m
}

// byAddress reports whether the addresses of a channel name the host that is
// called: then one that does not work says nothing about the others.
func byAddress(c model.Channel) bool {
	switch c {
	case model.ChannelWebhook, model.ChannelWebPush, model.ChannelSlack, model.ChannelDiscord, model.ChannelTeams:
		return true
	default:
		return false
	}
}

// breakerKey names what a breaker is for: the provider or, where the address
// names a host, that host behind it.
func breakerKey(p model.Provider, to Target) string {
	key := string(p.ID)
	if host := hostOf(to.Address); host != "" && byAddress(p.Channel) {
		key += " " + host
	}
	return key
}

// hostOf is the host of an address that is a URL or a browser's subscription;
// else "".
func hostOf(address string) string {
	var subscription struct{ Endpoint string }
	if len(address) > 0 && address[0] == '{' && json.Unmarshal([]byte(address), &subscription) == nil {
		address = subscription.Endpoint
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return u.Host
}
