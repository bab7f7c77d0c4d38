package model

import (
	"slices"
	"time"
)

// App is a customer's product. It owns at most one environment of each kind.
type App struct {
	ID        AppID
	Name      string // unique on the server
	CreatedAt time.Time
}

// EnvKind tells a live environment from a test one.
type EnvKind string

// The kinds of environment.
const (
	EnvTest EnvKind = "test"
	EnvLive EnvKind = "live"
)

// UserAuth is what a front end must present to act as a user.
type UserAuth string

// The ways of user authentication, from the loosest.
const (
	AuthOpen  UserAuth = "open"  // public key + user identifier
	AuthHMAC  UserAuth = "hmac"  // the same + a signature made with the API secret
	AuthToken UserAuth = "token" // a signed token
)

// Environment is the live or the test side of an app. Every stored row belongs
// to exactly one; nothing crosses.
type Environment struct {
	ID        EnvID
	AppID     AppID
	AppName   string
	Kind      EnvKind
	UserAuth  UserAuth
	APIKey    string // public: names the environment in front ends
	Settings  EnvSettings
	Carried   []Channel // channels for which there is a provider that is not disabled
	CreatedAt time.Time
}

// EnvSettings are the choices of an environment that an operator may change.
// The zero value is the default.
type EnvSettings struct {
	// LegacyTokens admits Engagespot-form tokens (sub "user:<id>", apiKey)
	// without exp.
	LegacyTokens bool `json:"legacyTokens,omitempty"`
	// Origins are the web origins that may call with a public key or a user
	// token. Empty: any.
	Origins []string `json:"origins,omitempty"`
	// Audiences that a user token may name in aud; one that names none is
	// always admitted. Empty: "carillon" and the environment's APIKey.
	Audiences []string `json:"audiences,omitempty"`
	// Issuers of which a user token must name one in iss. Empty: any or none.
	Issuers []string `json:"issuers,omitempty"`
	// Channels that the environment does not use at all.
	ChannelsOff []Channel `json:"channelsOff,omitempty"`
}

// Uses reports whether the environment uses a channel: it was not switched
// off, and something carries it. The inbox needs no provider.
func (e Environment) Uses(c Channel) bool {
	return (c == ChannelInApp || slices.Contains(e.Carried, c)) && !slices.Contains(e.Settings.ChannelsOff, c)
}

// Channels lists the channels that the environment uses.
func (e Environment) Channels() []Channel {
	return slices.DeleteFunc(Channels(), func(c Channel) bool { return !e.Uses(c) })
}

// Unused lists the channels that the environment does not use.
func (e Environment) Unused() []Channel { return slices.DeleteFunc(Channels(), e.Uses) }

// CredentialKind says what a credential proves and how it is kept.
type CredentialKind string

// The kinds of credential.
const (
	// CredentialSecretKey is a bearer key ("sk_…") for all of the
	// environment. Only its SHA-256 is kept.
	CredentialSecretKey CredentialKind = "secret_key"
	// CredentialAPISecret goes with the public key in the legacy dialects and
	// signs user identifiers (HMAC). Kept encrypted.
	CredentialAPISecret CredentialKind = "api_secret"
	// CredentialSigningSecret signs user tokens with HS256. Kept encrypted.
	CredentialSigningSecret CredentialKind = "signing_secret"
	// CredentialEngage serves the Engage dialect: its id is the public key, its
	// secret the private one. Only the SHA-256 of the secret is kept. It is a
	// kind of its own since there the public key alone may write users.
	CredentialEngage CredentialKind = "engage"
	// CredentialTokenKey is a public key that verifies user tokens.
	CredentialTokenKey CredentialKind = "token_key"
)

// Algorithm is a JWT signature algorithm, as in the header "alg".
type Algorithm string

// The algorithms a user token may be signed with. The credential fixes which;
// a token has no say.
const (
	HS256 Algorithm = "HS256"
	RS256 Algorithm = "RS256"
	ES256 Algorithm = "ES256"
	EdDSA Algorithm = "EdDSA"
)

// Limits of credentials.
const (
	MaxCredentials = 100                 // of an environment, that work at one time
	MinSecret      = 32                  // characters of a secret that an application brings
	MaxSecret      = 255                 // the same
	MaxOverlap     = 30 * 24 * time.Hour // that a replaced credential goes on working
)

// Credential is one key or secret of an environment. Its id serves as "kid" of
// the tokens it verifies.
type Credential struct {
	ID         CredentialID
	EnvID      EnvID
	Kind       CredentialKind
	Name       string    // for people; may be empty
	Algorithm  Algorithm // of signing secrets and token keys
	Hint       string    // last four characters of the secret, for recognising it
	LookupHash []byte    // SHA-256 of the secret; nil for token keys
	Sealed     []byte    // encrypted with the master key; nil for secret keys
	PublicKey  string    // PEM; token keys only
	CreatedAt  time.Time
	ExpiresAt  time.Time // zero: never
	RevokedAt  time.Time // zero: valid
}

// Live reports whether the credential may be used at now.
func (c Credential) Live(now time.Time) bool {
	return c.RevokedAt.IsZero() && (c.ExpiresAt.IsZero() || now.Before(c.ExpiresAt))
}

// IssuedCredential is a credential together with its secret, which is shown
// once, when it is made.
type IssuedCredential struct {
	Credential Credential
	Secret     string
}

// NewCredential asks for a credential. Secret and PublicKey are the
// application's own, when it has one already.
type NewCredential struct {
	Kind      CredentialKind
	Name      string
	Secret    string
	PublicKey string // PEM; token keys only
	ExpiresAt time.Time
}

// Rotation is a credential in place of another, which works until its
// ExpiresAt.
type Rotation struct {
	New      Credential
	Replaced Credential
}
