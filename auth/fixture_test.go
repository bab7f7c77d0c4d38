package auth_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

// fixture is a world with an environment for each way of user authentication,
// and another customer's.
type fixture struct {
	*authtest.World
	auth              *auth.Service
	open, hmac, token *authtest.Env
	other             *authtest.Env
}

func newFixture(tb testing.TB) *fixture {
	tb.Helper()
	w := authtest.NewWorld(tb)
	return &fixture{
		World: w, auth: w.Service(),
		open: w.NewEnv(tb, model.AuthOpen), hmac: w.NewEnv(tb, model.AuthHMAC), token: w.NewEnv(tb, model.AuthToken),
		other: w.NewEnv(tb, model.AuthToken),
	}
}

// legacy is an environment that admits tokens without exp.
func (f *fixture) legacy(tb testing.TB) *authtest.Env {
	tb.Helper()
	return f.NewEnv(tb, model.AuthToken, func(e *model.Environment) { e.Settings.LegacyTokens = true })
}

// wrong is the one error for every wrong credential, as a caller sees it.
func wrong(tb testing.TB) model.Error {
	tb.Helper()
	_, err := newFixture(tb).auth.Authenticate(tb.Context(), authtest.Bearer("sk_test_unknown"))
	e, ok := errors.AsType[*model.Error](err)
	if !ok || e.Kind != model.KindUnauthenticated {
		tb.Fatalf("an unknown secret key gave %v, want a KindUnauthenticated error", err)
	}
	return *e
}

// assertRefused fails unless err looks to a caller exactly like want.
func assertRefused(tb testing.TB, err error, want model.Error) {
	tb.Helper()
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		tb.Fatalf("error %v, want the one for a wrong credential", err)
	}
	if e.Kind != want.Kind || e.Message != want.Message || len(e.Problems) != 0 || e.RetryAfter != 0 {
		tb.Errorf("error %s %q %v %s, want %s %q and nothing else", e.Kind, e.Message, e.Problems, e.RetryAfter, want.Kind, want.Message)
	}
	if errors.Is(err, auth.ErrNone) || !auth.IsRefused(err) {
		tb.Errorf("error %v passes for no credential, want a wrong one", err)
	}
	if e.Err == nil {
		tb.Error("the log does not hear why")
	}
}

// userClaims are good claims for an hour.
func userClaims(user string) authtest.Object {
	now := time.Now()
	return authtest.Object{"sub": user, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
}

func hs256Header(e *authtest.Env) authtest.Object {
	return authtest.Object{"alg": "HS256", "typ": "JWT", "kid": e.Signing.ID}
}

// signed is a token for e with these claims, in order but for them.
func signed(e *authtest.Env, claims any) auth.Presented {
	return authtest.Bearer(authtest.Forge(hs256Header(e), claims, authtest.HS256(e.SigningSecret)))
}

// pass lets time pass in a synctest bubble, and what is due then be done.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
