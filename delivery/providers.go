package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"carillon/model"
)

// providerContext binds sealed secrets to their row.
func providerContext(env model.EnvID, id model.ProviderID) []byte {
	return fmt.Appendf(nil, "provider %d %s", env, id)
}

// AllKinds lists the kinds of provider that this server has.
func (s *Service) AllKinds() []*Kind { return s.Kinds.All() }

// Providers lists the providers of an environment, by channel and position.
func (s *Service) Providers(ctx context.Context, env model.EnvID) ([]model.Provider, error) {
	return s.Store.Providers(ctx, env)
}

// Provider reads a provider.
func (s *Service) Provider(ctx context.Context, env model.EnvID, id model.ProviderID) (model.Provider, error) {
	return s.Store.Provider(ctx, env, id)
}

// CreateProvider makes a provider, the last one of its channel.
func (s *Service) CreateProvider(ctx context.Context, env model.EnvID, once model.Once, in model.ProviderInput) (model.Outcome[model.Provider], error) {
	var none model.Outcome[model.Provider]
	kind, channel, err := s.kindOf(in)
	if err != nil {
		return none, err
	}
	p := model.Provider{
		ID: model.ProviderID(s.ids.New()), EnvID: env, Channel: channel, Kind: kind.Name, Name: in.Name, Enabled: in.Enabled,
		Config: object(in.Config), Concurrency: in.Concurrency, PerSecond: in.PerSecond,
	}
	if err := s.settle(kind, &p, secretsOf(in.Secrets), in.Secrets); err != nil {
		return none, err
	}
	out, err := s.Store.CreateProvider(ctx, once, p)
	s.changed(env, err)
	return out, err
}

// kindOf finds what kind of provider is asked for, and for which channel.
func (s *Service) kindOf(in model.ProviderInput) (*Kind, model.Channel, error) {
	var c model.Check
	kind := s.Kinds.Find(in.Kind)
	if kind == nil {
		names := make([]string, 0, len(s.Kinds.list))
		for _, k := range s.Kinds.list {
			names = append(names, k.Name)
		}
		c.Add(model.ProblemInvalid, "must be one of "+list(names), "kind")
		return nil, 0, c.Err()
	}
	channel := in.Channel
	if channel == 0 && len(kind.Channels) == 1 {
		channel = kind.Channels[0]
	}
	if !slices.Contains(kind.Channels, channel) {
		names := make([]string, len(kind.Channels))
		for i, ch := range kind.Channels {
			names[i] = ch.String()
		}
		c.Add(model.ProblemInvalid, "must be one of "+list(names)+", which is what "+kind.Name+" carries", "channel")
	}
	return kind, channel, c.Err()
}

// settle checks a provider and seals its secrets. given is what the caller gave
// of them, for naming what is wrong.
func (s *Service) settle(kind *Kind, p *model.Provider, secrets map[string]json.RawMessage, given json.RawMessage) error {
	var c model.Check
	if m := model.CheckText(p.Name, model.MaxProviderName); m != "" {
		c.Add(model.ProblemInvalid, m, "name")
	}
	c.That(p.Concurrency >= 0 && p.Concurrency <= model.MaxProviderConcurrency, "must be "+between(0, model.MaxProviderConcurrency), "concurrency")
	c.That(p.PerSecond >= 0 && p.PerSecond <= model.MaxProviderRate, "must be "+between(0, model.MaxProviderRate), "perSecond")
	kind.check(c.At("config"), p.Config, false)
	whole, err := json.Marshal(secrets)
	if err != nil {
		return fmt.Errorf("encoding secrets: %w", err)
	}
	if len(given) > 0 && secrets == nil {
		c.Add(model.ProblemInvalid, "must be an object", "secrets")
	}
	kind.check(c.At("secrets"), whole, true)
	if err := c.Err(); err != nil {
		return err
	}
	if _, err := kind.New(Account{Provider: p.ID, Env: p.EnvID, Channel: p.Channel, Config: p.Config, Secrets: whole}, s.outside()); err != nil {
		return err
	}
	p.Sealed, p.Secrets = s.Box.Seal(whole, providerContext(p.EnvID, p.ID)), slices.Sorted(maps.Keys(secrets))
	return nil
}

// object is text, or the empty object.
func object(text json.RawMessage) json.RawMessage {
	if s := strings.TrimSpace(string(text)); s == "" || s == "null" {
		return json.RawMessage("{}")
	}
	return text
}

// secretsOf reads an object of secrets, without those that are null; nil when it
// is no object.
func secretsOf(text json.RawMessage) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if json.Unmarshal(object(text), &out) != nil {
		return nil
	}
	maps.DeleteFunc(out, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	return out
}

// UpdateProvider changes a provider. One that the server had paused goes on
// when its settings change.
func (s *Service) UpdateProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID, change model.ProviderChange) (model.Outcome[model.Provider], error) {
	out, err := s.Store.UpdateProvider(ctx, env, once, id, func(p model.Provider) (model.Provider, error) { return s.changeProvider(p, change) })
	s.changed(env, err)
	return out, err
}

func (s *Service) changeProvider(p model.Provider, change model.ProviderChange) (model.Provider, error) {
	kind := s.Kinds.Find(p.Kind)
	if kind == nil {
		return p, model.Errorf(model.KindConflict, "this server has no providers of the kind %q any more", p.Kind)
	}
	was, err := s.Box.Open(p.Sealed, providerContext(p.EnvID, p.ID))
	if err != nil {
		was = nil // they have to be given anew
	}
	secrets := secretsOf(was)
	set(&p.Name, change.Name)
	set(&p.Enabled, change.Enabled)
	set(&p.Concurrency, change.Concurrency)
	set(&p.PerSecond, change.PerSecond)
	if change.Config != nil {
		p.Config = object(change.Config)
	}
	if change.Secrets != nil {
		var given map[string]json.RawMessage
		if json.Unmarshal(object(change.Secrets), &given) != nil {
			secrets = nil
		}
		for name, v := range given {
			if secrets[name] = v; string(v) == "null" {
				delete(secrets, name)
			}
		}
	}
	if err := s.settle(kind, &p, secrets, change.Secrets); err != nil {
		return p, err
	}
	switch {
	case change.Paused != nil && *change.Paused && !p.Paused():
		p.PausedAt = s.now()
	case change.Paused != nil && !*change.Paused, p.Trouble != "" && (change.Config != nil || change.Secrets != nil):
		p.PausedAt, p.Trouble = time.Time{}, ""
	}
	return p, nil
}

func set[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

// DeleteProvider deletes a provider. What waits goes to the next one of its
// channel.
func (s *Service) DeleteProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID) (model.Outcome[model.ProviderID], error) {
	out, err := s.Store.DeleteProvider(ctx, env, once, id)
	s.changed(env, err)
	return out, err
}

// OrderProviders sets the order in which a channel tries its providers, all of
// which must be named.
func (s *Service) OrderProviders(ctx context.Context, env model.EnvID, once model.Once, channel model.Channel, ids []model.ProviderID) (model.Outcome[[]model.ProviderID], error) {
	var c model.Check
	if len(each(ids, func(id model.ProviderID) model.ProviderID { return id })) != len(ids) {
		c.Add(model.ProblemInvalid, "must name each provider once", "ids")
	}
	if err := c.Err(); err != nil {
		return model.Outcome[[]model.ProviderID]{}, err
	}
	out, err := s.Store.OrderProviders(ctx, env, once, channel, ids)
	s.changed(env, err)
	return out, err
}

// changed has everybody in this process forget what they know of an
// environment's providers.
func (s *Service) changed(env model.EnvID, err error) {
	if err != nil {
		return
	}
	s.prepare().catalog.forget(env)
	if s.Changed != nil {
		s.Changed(env)
	}
	s.Wake()
}

// TestProvider finds out whether a provider works: by sending a test message to
// a target or, without one, by asking the provider about the account, where
// that is possible. What it tells of a failure names its class and nothing that
// the other side said, so that it is no way of looking at what listens where.
func (s *Service) TestProvider(ctx context.Context, env model.EnvID, once model.Once, id model.ProviderID, to *Target) (model.Outcome[model.ProviderTest], error) {
	return s.Store.TestOnce(ctx, env, once, func() (model.ProviderTest, error) { return s.testProvider(ctx, env, id, to) })
}

func (s *Service) testProvider(ctx context.Context, env model.EnvID, id model.ProviderID, to *Target) (none model.ProviderTest, err error) {
	p, err := s.Store.Provider(ctx, env, id)
	if err != nil {
		return none, err
	}
	sender, err := s.sender(p)
	if err != nil {
		return model.ProviderTest{Class: model.ClassConfig, Detail: testWords[model.ClassConfig]}, nil // that is what the test found
	}
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	if to == nil {
		prober, ok := sender.(Prober)
		if !ok {
			return none, invalid("is required: this kind of provider can only be tested by a message", "to")
		}
		return tested(prober.Probe(ctx)), nil
	}
	if text := model.CheckText(to.Address, maxSetting); text != "" {
		return none, invalid(text, "to")
	}
	if to.Address == "" || !takes(sender, *to) {
		return none, invalid("is no address that this provider can carry to", "to")
	}
	now := s.now()
	_, err = s.send(ctx, &madeSender{Sender: sender}, Message{
		ID: model.DeliveryID(s.ids.New()), Attempt: 1, Channel: p.Channel, To: *to, Send: "test", Recipient: "test",
		Title: "Carillon test message", Text: "This message shows that the provider works.", FiredAt: now, ExpiresAt: now.Add(testTime),
	})
	return tested(err), nil
}

func tested(err error) model.ProviderTest {
	e := Classify(err)
	if e == nil {
		return model.ProviderTest{Works: true}
	}
	return model.ProviderTest{Class: e.Class, Detail: testWords[e.Class]}
}

// testTime is what a test may take.
const testTime = 10 * time.Second

// invalid is an error about one field.
func invalid(message string, path ...string) error {
	var c model.Check
	c.Add(model.ProblemInvalid, message, path...)
	return c.Err()
}

// testWords are all that a test tells.
var testWords = map[model.ErrorClass]string{
	model.ClassTransient:   "the provider could not be reached, or failed",
	model.ClassRateLimited: "the provider says that there were too many messages",
	model.ClassPermanent:   "the provider refused the message",
	model.ClassAddressDead: "the provider says that the address does not exist",
	model.ClassAuth:        "the provider refused the credentials",
	model.ClassConfig:      "the settings are not in order, or name an address that may not be called",
	model.ClassUnknown:     "the provider did not answer in time, or not in its protocol",
}
