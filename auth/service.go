package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/internal/seal"
	"carillon/model"
)

// MaxTokenAge is how far ahead the exp of a user token may lie unless
// [Config.MaxTokenAge] says otherwise.
const MaxTokenAge = 24 * time.Hour

// maxBearer is the longest secret key or token that is looked at, in bytes.
const maxBearer = 8 << 10

// Config is what a Service needs.
type Config struct {
	Lookup Lookup
	Box    *seal.Box // opens the sealed secrets
	// Users keeps what is remembered of users fresh while [Service.Run] runs;
	// nil: each is looked up anew every two seconds.
	Users UserLookup
	// Saw is told of each credential of a known user that was accepted; nil: no
	// one is. It must be quick.
	Saw func(model.UserRef)
	// Log hears of failed refreshes; nil means slog.Default.
	Log *slog.Logger
	// MaxTokenAge is how far ahead the exp of a token may lie; zero means
	// [MaxTokenAge].
	MaxTokenAge time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Service tells good credentials from wrong ones. It remembers look-ups for
// two seconds, so that a busy credential costs no query. It is safe for
// concurrent use; [NewService] makes one.
type Service struct {
	maxTokenAge time.Duration
	now         func() time.Time
	log         *slog.Logger
	saw         func(model.UserRef)
	parsers     map[model.Algorithm]*jwt.Parser
	validator   *jwt.Validator
	proofs      *cache[[sha256.Size]byte, proof]
	directory
}

// NewService returns a Service.
func NewService(c Config) *Service {
	s := &Service{maxTokenAge: c.MaxTokenAge, now: c.Now, log: c.Log, saw: c.Saw, directory: newDirectory(c.Lookup, c.Users, c.Box)}
	if s.maxTokenAge == 0 {
		s.maxTokenAge = MaxTokenAge
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.parsers, s.validator = newParsers(), newValidator(s.now)
	s.proofs = newCache[[sha256.Size]byte, proof](maxCachedProofs, 0)
	return s
}

// Run keeps what is in use fresh until ctx is done. Without it everything
// works, with a query more for each user every two seconds.
func (s *Service) Run(ctx context.Context) {
	if s.watch == nil {
		return
	}
	every(ctx, cacheFor/2, func() {
		if err := s.refresh(ctx, s.now()); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "refreshing known users", "error", err)
		}
	})
}

// Authenticate says who presented p. Nothing presented is [ErrNone]; anything
// wrong is one KindUnauthenticated error that does not say what; any other
// kind means that the look-up failed.
//
// A user with a good credential is created at first use in OPEN and HMAC
// environments, and left with UserID zero in TOKEN environments.
func (s *Service) Authenticate(ctx context.Context, p Presented) (Caller, error) {
	if p == (Presented{Legacy: p.Legacy}) {
		return Caller{}, ErrNone
	}
	if p.Authorization == "" {
		if p.Secret != "" {
			return s.apiSecret(ctx, p)
		}
		return s.signed(ctx, p)
	}
	scheme, bearer, _ := strings.Cut(p.Authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Caller{}, refuse("Authorization has another scheme than Bearer")
	}
	if len(bearer) > maxBearer {
		return Caller{}, refuse("the bearer has %d bytes", len(bearer))
	}
	if strings.HasPrefix(bearer, secretPrefix) && !p.Legacy {
		return s.secretKey(ctx, bearer, p)
	}
	return s.token(ctx, bearer, p)
}

// secretKey checks a secret key. It is for the whole environment: together
// with a user it would say two things, so that is refused.
func (s *Service) secretKey(ctx context.Context, secret string, p Presented) (Caller, error) {
	now := s.now()
	hash := Hash(secret)
	k, err := s.byHash(ctx, now, hash)
	missed := notFound(err)
	if err != nil && !missed {
		return Caller{}, fmt.Errorf("reading credential: %w", err)
	}
	// A miss is compared too: with zeros, which no text hashes to.
	same := subtle.ConstantTimeCompare(pad(k.LookupHash), hash) == 1
	switch {
	case missed || !same:
		return Caller{}, refuse("unknown secret key")
	case k.Kind != model.CredentialSecretKey:
		return Caller{}, refuse("credential %s is no secret key", k.ID)
	}
	if err := k.usable(now); err != nil {
		return Caller{}, refuse("secret key: %w", err)
	}
	env, err := s.environment(ctx, now, k.EnvID)
	if err != nil {
		return Caller{}, lookupFailed("environment of the secret key", err)
	}
	if err := agree(env, p); err != nil {
		return Caller{}, err
	}
	if p.User != "" || p.Signature != "" {
		return Caller{}, refuse("a secret key together with a user")
	}
	return Caller{Env: env, Kind: Secret, Credential: k.ID, Expires: k.ExpiresAt}, nil
}

// apiSecret checks an API secret with its public key. With a user it acts as
// that user, without further proof: whoever has the secret could make the
// signature.
func (s *Service) apiSecret(ctx context.Context, p Presented) (Caller, error) {
	now := s.now()
	hash := Hash(p.Secret)
	k, err := s.byHash(ctx, now, hash)
	missed := notFound(err)
	if err != nil && !missed {
		return Caller{}, fmt.Errorf("reading credential: %w", err)
	}
	same := subtle.ConstantTimeCompare(pad(k.LookupHash), hash) == 1
	switch {
	case missed || !same:
		return Caller{}, refuse("unknown API secret")
	case k.Kind != model.CredentialAPISecret:
		return Caller{}, refuse("credential %s is no API secret", k.ID)
	case p.Key == "":
		return Caller{}, refuse("an API secret without its public key")
	}
	if err := k.usable(now); err != nil {
		return Caller{}, refuse("API secret: %w", err)
	}
	env, err := s.environment(ctx, now, k.EnvID)
	if err != nil {
		return Caller{}, lookupFailed("environment of the API secret", err)
	}
	if err := agree(env, p); err != nil {
		return Caller{}, err
	}
	if p.User == "" {
		return Caller{Env: env, Kind: Secret, Credential: k.ID, Expires: k.ExpiresAt}, nil
	}
	if wrong := model.CheckIdentifier(p.User); wrong != "" {
		return Caller{}, refuse("the user identifier %s", wrong)
	}
	return s.userCaller(ctx, env, p.User, k.ID, k.ExpiresAt)
}

func pad(hash []byte) []byte {
	if len(hash) == 0 {
		return make([]byte, 32)
	}
	return hash
}

// agree holds that a public key presented next to another credential names
// the same environment.
func agree(env model.Environment, p Presented) error {
	if p.Key != "" && p.Key != env.APIKey {
		return refuse("the credential and %s are of two environments", HeaderKey)
	}
	return nil
}

// userCaller finds the user, or creates it where the environment does so.
func (s *Service) userCaller(ctx context.Context, env model.Environment, identifier string, credential model.CredentialID, expires time.Time) (Caller, error) {
	id, err := s.userID(ctx, s.now(), env, identifier)
	if err != nil {
		return Caller{}, fmt.Errorf("reading user: %w", err)
	}
	if s.saw != nil && id != 0 {
		s.saw(model.UserRef{Env: env.ID, ID: id})
	}
	return Caller{Env: env, Kind: User, User: identifier, UserID: id, Credential: credential, Expires: expires}, nil
}

// lookupFailed refuses a credential that names something that does not exist,
// and passes other errors on.
func lookupFailed(what string, err error) error {
	if notFound(err) {
		return refuse("%s: not found", what)
	}
	return fmt.Errorf("reading %s: %w", what, err)
}

func notFound(err error) bool { return model.KindOf(err) == model.KindNotFound }
