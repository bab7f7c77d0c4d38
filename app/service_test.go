package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/app"
	"carillon/auth"
	"carillon/internal/seal"
	"carillon/model"
	"carillon/store"
	"carillon/store/storetest"
)

type fixture struct {
	*app.Service
	store *store.Store
	box   *seal.Box
	clock *clock
}

func each(t *testing.T, test func(t *testing.T, f *fixture)) {
	t.Helper()
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		box, err := seal.NewBox(seal.NewKey())
		if err != nil {
			t.Fatal(err)
		}
		c := &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
		s := storetest.Open(t, store.Config{URL: url, Now: c.Now, MaxConns: 6})
		test(t, &fixture{Service: &app.Service{Store: s, Keys: auth.Keys{Box: box}, Now: c.Now}, store: s, box: box, clock: c})
	})
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// accepts asks a fresh authentication service, which remembers nothing, who
// presents a credential.
func (f *fixture) accepts(t *testing.T, p auth.Presented) (auth.Caller, error) {
	t.Helper()
	s := auth.NewService(auth.Config{Lookup: f.store, Box: f.box, Users: f.store, Now: f.clock.Now, Log: slog.New(slog.DiscardHandler)})
	return s.Authenticate(t.Context(), p)
}

func bearer(secret string) auth.Presented { return auth.Presented{Authorization: "Bearer " + secret} }

func (f *fixture) works(t *testing.T, env model.EnvID, p auth.Presented) {
	t.Helper()
	if caller, err := f.accepts(t, p); err != nil || caller.Env.ID != env {
		t.Errorf("presented %+.20v: environment %d, %v; want %d", p, caller.Env.ID, err, env)
	}
}

func (f *fixture) refused(t *testing.T, p auth.Presented) {
	t.Helper()
	if caller, err := f.accepts(t, p); model.KindOf(err) != model.KindUnauthenticated {
		t.Errorf("presented %+.20v: environment %d, %v; want it refused", p, caller.Env.ID, err)
	}
}

func (f *fixture) create(t *testing.T, in app.NewEnvironment) app.Created {
	t.Helper()
	out, err := f.CreateEnvironment(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// newTokenKey makes the PEM of a public key.
func newTokenKey(t *testing.T) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func wantProblem(t *testing.T, err error, kind model.Kind, path, text string) {
	t.Helper()
	e, ok := errors.AsType[*model.Error](err)
	if !ok || e.Kind != kind || !slices.ContainsFunc(e.Problems, func(p model.Problem) bool { return p.Field() == path && strings.Contains(p.Message, text) }) {
		t.Errorf("got %v, want a %s problem at %q with %q", err, kind, path, text)
	}
}

func key(k string) model.Once { return model.Once{Operation: "test", Key: k} }

const ownSecret = "an-API-secret-that-came-along-123"

func TestCreateEnvironment(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		test := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest})
		live := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvLive})
		if test.Environment.AppID != live.Environment.AppID || test.Environment.ID == live.Environment.ID {
			t.Errorf("made %+v and %+v; want two environments of one app", test.Environment, live.Environment)
		}
		if test.Environment.UserAuth != model.AuthOpen || live.Environment.UserAuth != model.AuthToken {
			t.Errorf("user authentication is %s and %s; want open and token", test.Environment.UserAuth, live.Environment.UserAuth)
		}
		for _, made := range []app.Created{test, live} {
			f.works(t, made.Environment.ID, bearer(made.SecretKey))
			token, err := f.MintToken(ctx, made.Environment.ID, "ada", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			f.works(t, made.Environment.ID, bearer(token))
		}
		f.works(t, test.Environment.ID, auth.Presented{Key: test.Environment.APIKey, User: "ada"})
		f.refused(t, auth.Presented{Key: live.Environment.APIKey, User: "ada"})

		own := f.create(t, app.NewEnvironment{
			App: "own", Kind: model.EnvLive, UserAuth: model.AuthHMAC, APIKey: "their-public-key", APISecret: ownSecret,
			TokenKey: newTokenKey(t), Settings: model.EnvSettings{LegacyTokens: true, ChannelsOff: []model.Channel{model.ChannelSMS}},
		})
		if own.Environment.APIKey != "their-public-key" || own.APISecret != ownSecret || !own.Environment.Settings.LegacyTokens {
			t.Errorf("made %+v; want what was given", own)
		}
		signature := base64.StdEncoding.EncodeToString(auth.Sign(own.APISecret, "ada"))
		f.works(t, own.Environment.ID, auth.Presented{Key: "their-public-key", User: "ada", Signature: signature})

		envs, err := f.Environments(ctx)
		var names []string
		for _, e := range envs {
			names = append(names, e.AppName+" "+string(e.Kind))
		}
		if want := []string{"own live", "shop test", "shop live"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("Environments = %q, %v; want %q", names, err, want)
		}
		if e, err := f.FindByName(ctx, "shop", model.EnvLive); err != nil || e.ID != live.Environment.ID {
			t.Errorf("FindByName = %+v, %v", e, err)
		}
		for _, name := range []string{"nobody", "", "a\x00"} {
			if _, err := f.FindByName(ctx, name, model.EnvLive); model.KindOf(err) != model.KindNotFound {
				t.Errorf("FindByName(%q): %v, want it not found", name, err)
			}
		}
		kinds := map[model.CredentialKind]int{}
		cs, err := f.Credentials(ctx, own.Environment.ID)
		for _, c := range cs {
			kinds[c.Kind]++
			if c.Sealed != nil || c.LookupHash != nil {
				t.Errorf("the list shows more of %s than it should: %+v", c.Kind, c)
			}
		}
		if err != nil || len(kinds) != 4 || len(cs) != 4 {
			t.Errorf("the credentials are %v, %v; want one of each kind", kinds, err)
		}
	})
}

func TestCreateEnvironmentRefuses(t *testing.T) {
	tests := []struct {
		name       string
		change     func(*app.NewEnvironment)
		path, text string
	}{
		{"NoName", func(in *app.NewEnvironment) { in.App = "" }, "name", "empty"},
		{"NULInName", func(in *app.NewEnvironment) { in.App = "a\x00" }, "name", "control"},
		{"NoKind", func(in *app.NewEnvironment) { in.Kind = "" }, "environment", "test or live"},
		{"UnknownUserAuth", func(in *app.NewEnvironment) { in.UserAuth = "none" }, "userAuth", "open"},
		{"BlankInAPIKey", func(in *app.NewEnvironment) { in.APIKey = "a b" }, "apiKey", "printable"},
		{"LongAPIKey", func(in *app.NewEnvironment) { in.APIKey = strings.Repeat("x", 256) }, "apiKey", "255"},
		{"ShortSecret", func(in *app.NewEnvironment) { in.APISecret = strings.Repeat("x", 31) }, "apiSecret", "32"},
		{"LongSecret", func(in *app.NewEnvironment) { in.APISecret = strings.Repeat("x", 256) }, "apiSecret", "255"},
		{"NULInSecret", func(in *app.NewEnvironment) { in.APISecret = strings.Repeat("x", 40) + "\x00" }, "apiSecret", "printable"},
		{"NoKey", func(in *app.NewEnvironment) { in.TokenKey = "no PEM" }, "tokenKey", "PEM"},
		{"NULInKey", func(in *app.NewEnvironment) { in.TokenKey = "\x00" + in.TokenKey }, "tokenKey", "control"},
		{"NoChannel", func(in *app.NewEnvironment) { in.Settings.ChannelsOff = []model.Channel{99} }, "settings.channelsOff", "channels"},
	}
	each(t, func(t *testing.T, f *fixture) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				in := app.NewEnvironment{App: "shop", Kind: model.EnvTest}
				tt.change(&in)
				_, err := f.CreateEnvironment(t.Context(), in)
				wantProblem(t, err, model.KindInvalid, tt.path, tt.text)
			})
		}
		shop := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest})
		for name, in := range map[string]app.NewEnvironment{
			"the same environment": {App: "shop", Kind: model.EnvTest},
			"a public key in use":  {App: "other", Kind: model.EnvTest, APIKey: shop.Environment.APIKey},
			"a secret in use":      {App: "other", Kind: model.EnvTest, APISecret: shop.APISecret},
		} {
			if _, err := f.CreateEnvironment(t.Context(), in); model.KindOf(err) != model.KindConflict {
				t.Errorf("%s: %v, want a conflict", name, err)
			}
		}
		if envs, err := f.Environments(t.Context()); err != nil || len(envs) != 1 {
			t.Errorf("there are %d environments, %v; want one", len(envs), err)
		}
	})
}

func TestMintToken(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		made := f.create(t, app.NewEnvironment{App: "shop", Kind: model.EnvTest})
		token, err := f.MintToken(ctx, made.Environment.ID, "ada", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		f.works(t, made.Environment.ID, bearer(token))
		f.clock.advance(2 * time.Hour)
		f.refused(t, bearer(token))
		if _, err := f.MintToken(ctx, made.Environment.ID, "", time.Hour); err == nil {
			t.Error("a token for nobody was made")
		}
		cs, err := f.Credentials(ctx, made.Environment.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cs {
			if c.Kind == model.CredentialSigningSecret {
				if _, err := f.RevokeCredential(ctx, made.Environment.ID, model.Once{}, c.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := f.MintToken(ctx, made.Environment.ID, "ada", time.Hour); model.KindOf(err) != model.KindNotFound {
			t.Errorf("without a signing secret: %v, want it not found", err)
		}
	})
}
