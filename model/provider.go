package model

import (
	"encoding/json"
	"time"
)

// Limits of providers.
const (
	MaxProviders           = 1000 // of an environment
	MaxProviderConcurrency = 256
	MaxProviderRate        = 10_000 // messages a second
	MaxProviderName        = 255
)

// Provider is an environment's account at somebody who carries one of its
// channels. A channel tries its providers in the order of Position.
type Provider struct {
	ID          ProviderID
	EnvID       EnvID
	Channel     Channel
	Kind        string // such as "smtp"
	Name        string // for people; may be empty
	Position    int
	Enabled     bool
	Config      json.RawMessage // what may be shown: a JSON object
	Sealed      []byte          `json:",omitempty"` // the secrets, encrypted with the master key
	Secrets     []string        // the names of those that are set
	Concurrency int             // attempts at the same time in one process; zero: DefaultConcurrency
	PerSecond   int             // messages a second of all processes together; zero: any number
	PausedAt    time.Time       // zero: it is not paused
	Trouble     string          // why the server paused it; empty: a person did, or it is not paused
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// DefaultConcurrency is how many attempts a provider gets at the same time in
// one process, unless it says otherwise.
const DefaultConcurrency = 16

// Paused reports whether the provider gets no deliveries; they wait.
func (p Provider) Paused() bool { return !p.PausedAt.IsZero() }

// ProviderInput is a provider to be made. Channel zero: the kind's only one.
type ProviderInput struct {
	Kind        string
	Channel     Channel
	Name        string
	Config      json.RawMessage
	Secrets     json.RawMessage
	Enabled     bool
	Concurrency int
	PerSecond   int
}

// ProviderChange changes a provider; what is nil stays. Config replaces all
// settings; of Secrets each member replaces its own, and null removes it.
type ProviderChange struct {
	Name        *string
	Config      json.RawMessage
	Secrets     json.RawMessage
	Enabled     *bool
	Paused      *bool
	Concurrency *int
	PerSecond   *int
}

// ProviderRef names a provider.
type ProviderRef struct {
	Env EnvID
	ID  ProviderID
}

// ProviderTest is what came of testing a provider.
type ProviderTest struct {
	Works  bool
	Class  ErrorClass // of the failure
	Detail string     // what was wrong, in a few fixed words
}
