package user

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"carillon/model"
)

// maxNoted bounds the names of attributes that are remembered as known.
const maxNoted = 100_000

// noted remembers which attributes the properties of an environment have, so
// that only what is new is written.
type noted struct {
	mu    sync.Mutex
	names map[propertyName]bool
}

type propertyName struct {
	env  model.EnvID
	name string
}

// unknown are those attributes of a profile that are not remembered.
func (n *noted) unknown(env model.EnvID, attributes profile) map[string]model.PropertyType {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out map[string]model.PropertyType
	for name, value := range attributes {
		if isNull(value) || n.names[propertyName{env, name}] || model.CheckAttributeName(name) != "" {
			continue
		}
		if out == nil {
			out = map[string]model.PropertyType{}
		}
		out[name] = model.PropertyTypeOf(value)
	}
	return out
}

func (n *noted) add(env model.EnvID, types map[string]model.PropertyType) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil || len(n.names)+len(types) > maxNoted {
		n.names = map[propertyName]bool{}
	}
	for name := range types {
		n.names[propertyName{env, name}] = true
	}
}

// note puts the attributes of a profile that was written among the properties
// of its environment. The profile is safe by now: a failure is logged, and the
// next write of the attribute tries again.
func (s *Service) note(ctx context.Context, env model.EnvID, attributes json.RawMessage) {
	if len(attributes) == 0 {
		return
	}
	p, err := decodeProfile(attributes)
	if err != nil {
		return
	}
	for _, name := range model.WellKnownAttributes() {
		delete(p, name)
	}
	fresh := s.noted.unknown(env, p)
	if len(fresh) == 0 {
		return
	}
	if err := s.Store.NoteProperties(context.WithoutCancel(ctx), env, fresh); err != nil {
		s.log().WarnContext(ctx, "noting properties", "env", env, "error", err)
		return
	}
	s.noted.add(env, fresh)
}

func (s *Service) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}
