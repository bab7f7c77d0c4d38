package auth_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (b unreadable) Read([]byte) (int, error) {
	b.t.Error("the body was read before the credential was checked")
	return 0, io.EOF
}

// gate returns a handler that says who is calling, behind a Gate, and what was
// last refused.
func gate(f *fixture, limiter *auth.Limiter) (http.Handler, *error) {
	var last error
	g := &auth.Gate{Service: f.auth, Limiter: limiter, Refuse: func(w http.ResponseWriter, _ *http.Request, err error) {
		last = err
		w.WriteHeader(http.StatusUnauthorized)
	}}
	return g.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := auth.FromContext(r.Context())
		if !ok {
			_, _ = io.WriteString(w, "nobody")
			return
		}
		_, _ = io.WriteString(w, c.Kind.String()+" "+c.User)
	})), &last
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h, last := gate(f, nil)
	for name, tt := range map[string]struct {
		with auth.Presented
		want string
	}{
		"Nobody":   {auth.Presented{}, "nobody"},
		"Secret":   {f.token.Secret(), "secret key "},
		"Token":    {f.token.Token(t, "ada"), "user ada"},
		"Signed":   {f.hmac.Signed("ada"), "user ada"},
		"Wrong":    {authtest.Bearer("sk_test_wrong"), ""},
		"Unproven": {f.hmac.User("ada"), ""},
	} {
		*last = nil
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/graphql", unreadable{t})
		authtest.SetHeaders(r.Header, tt.with)
		h.ServeHTTP(w, r)
		if tt.want == "" {
			if *last == nil || w.Code != http.StatusUnauthorized {
				t.Errorf("%s: status %d, want a refusal", name, w.Code)
				continue
			}
			assertRefused(t, *last, wrong(t))
		} else if w.Body.String() != tt.want || *last != nil {
			t.Errorf("%s: %q, refused with %v; want %q", name, w.Body, *last, tt.want)
		}
	}

	r := httptest.NewRequest(http.MethodPost, "/graphql", unreadable{t})
	r.Header["Authorization"] = []string{"Bearer " + f.token.SecretKey, "Bearer " + f.token.SecretKey}
	h.ServeHTTP(httptest.NewRecorder(), r)
	assertRefused(t, *last, wrong(t))
}

func TestAttackHeadersAreAnsweredFast(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h, last := gate(f, nil)
	start := time.Now()
	for _, v := range []string{strings.Repeat(".", 100_000), "Bearer " + strings.Repeat(".", 100_000), "Bearer " + strings.Repeat("a.", 30_000), strings.Repeat("Bearer ", 10_000)} {
		*last = nil
		r := httptest.NewRequest(http.MethodPost, "/graphql", nil)
		r.Header.Set("Authorization", v)
		h.ServeHTTP(httptest.NewRecorder(), r)
		assertRefused(t, *last, wrong(t))
	}
	if took := time.Since(start); took > 2*time.Second { // 50 ms each are promised
		t.Errorf("four refusals took %s", took)
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	e := f.NewEnv(t, model.AuthHMAC, func(e *model.Environment) { e.Settings.Origins = []string{"https://app.example.com"} })
	g := &auth.Gate{Service: f.auth}
	for name, tt := range map[string]struct {
		with   auth.Presented
		origin string
		want   model.Kind
	}{
		"Listed":             {e.Signed("ada"), "https://app.example.com", ""},
		"NoBrowser":          {e.Signed("ada"), "", ""},
		"NotListed":          {e.Signed("ada"), "https://evil.example.com", model.KindForbidden},
		"TokenNotListed":     {e.Token(t, "ada"), "https://evil.example.com", model.KindForbidden},
		"Null":               {e.Signed("ada"), "null", model.KindForbidden},
		"SecretKey":          {e.Secret(), "https://evil.example.com", ""},
		"NoListInAnotherOne": {f.hmac.Signed("ada"), "https://evil.example.com", ""},
		"WrongAndNotListed":  {e.User("ada"), "https://evil.example.com", model.KindUnauthenticated},
	} {
		c, err := g.Admit(t.Context(), auth.Source{Origin: tt.origin}, tt.with)
		if model.KindOf(err) != tt.want || (err != nil) != (c.Kind == 0) {
			t.Errorf("%s: caller %q, error %v; want kind %q", name, c.User, err, tt.want)
		}
	}
}

func TestOriginAllowed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		list   string
		origin string
		want   bool
	}{
		{"", "https://any.example.com", true},
		{"*", "https://any.example.com", true},
		{"https://a.example", "https://a.example", true},
		{"https://A.example:443", "https://a.example", true},
		{"http://a.example", "http://a.example:80", true},
		{"https://b.example https://a.example", "HTTPS://a.EXAMPLE", true},
		{"null", "null", true},
		{"https://a.example", "http://a.example", false},
		{"https://a.example", "https://a.example:8443", false},
		{"https://a.example", "https://a.example.evil.example", false},
		{"https://a.example", "https://xa.example", false},
		{"https://a.example", "https://a.example/", false},
		{"https://a.example", "https://a.example, https://b.example", false},
		{"https://a.example", "https://user@a.example", false},
		{"https://a.example", "null", false},
		{"https://a.example", "", true},
	} {
		env := model.Environment{Settings: model.EnvSettings{Origins: strings.Fields(tt.list)}}
		if got := auth.OriginAllowed(env, tt.origin); got != tt.want {
			t.Errorf("origins %q: %q allowed %t, want %t", tt.list, tt.origin, got, tt.want)
		}
	}
}

func TestSourceOf(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "[2001:db8::1]:4711"
	r.Header["Origin"] = []string{"https://a.example", "https://b.example"}
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	got := auth.SourceOf(r)
	if got.Address != "2001:db8::1" {
		t.Errorf("address %q, want the peer's", got.Address)
	}
	env := model.Environment{Settings: model.EnvSettings{Origins: []string{"https://a.example", "https://b.example"}}}
	if auth.OriginAllowed(env, got.Origin) {
		t.Errorf("two origins passed as %q", got.Origin)
	}
}

func TestWrongCredentialsAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		g := &auth.Gate{Service: f.auth, Limiter: auth.NewLimiter(5)}
		bad, here := authtest.Bearer("sk_test_wrong"), auth.Source{Address: "127.0.0.1"}
		present := func(from auth.Source, p auth.Presented) error {
			_, err := g.Admit(t.Context(), from, p)
			return err
		}
		for range 5 {
			assertRefused(t, present(here, bad), wrong(t))
		}
		err := present(here, bad)
		e, ok := errors.AsType[*model.Error](err)
		if !ok || e.Kind != model.KindRateLimited || e.RetryAfter <= 0 || e.RetryAfter > time.Minute/5 {
			t.Fatalf("the sixth gave %v, want KindRateLimited with up to 12 s to wait", err)
		}
		if _, err := g.AdmitInit(t.Context(), here, []byte(`{"authorization":1}`), auth.Presented{}); model.KindOf(err) != model.KindRateLimited {
			t.Errorf("a broken init gave %v, want KindRateLimited", err)
		}
		if err := present(here, f.token.Secret()); err != nil {
			t.Errorf("a good credential from the same address: %v", err)
		}
		if err := present(here, auth.Presented{}); !errors.Is(err, auth.ErrNone) {
			t.Errorf("no credential gave %v, want ErrNone", err)
		}
		assertRefused(t, present(auth.Source{Address: "127.0.0.2"}, bad), wrong(t))

		pass(e.RetryAfter)
		assertRefused(t, present(here, bad), wrong(t))
		if err := present(here, bad); model.KindOf(err) != model.KindRateLimited {
			t.Errorf("after the wait one more was allowed at once: %v", err)
		}
		pass(time.Hour)
		for range 5 {
			assertRefused(t, present(here, bad), wrong(t))
		}
		if err := present(here, bad); model.KindOf(err) != model.KindRateLimited {
			t.Errorf("an hour's allowance was saved up: %v", err)
		}
	})
}

func TestOnlyWrongCredentialsCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	g := &auth.Gate{Service: f.auth, Limiter: auth.NewLimiter(1)}
	from := auth.Source{Address: "192.0.2.1", Origin: "https://evil.example"}
	e := f.NewEnv(t, model.AuthOpen, func(e *model.Environment) { e.Settings.Origins = []string{"https://a.example"} })
	for range 10 {
		_, _ = g.Admit(t.Context(), from, f.token.Secret())
		_, _ = g.Admit(t.Context(), from, auth.Presented{})
		_, _ = g.Admit(t.Context(), from, e.User("ada")) // forbidden by its origin
	}
	f.Fail(model.Errorf(model.KindUnavailable, "away"))
	for range 10 {
		_, _ = g.Admit(t.Context(), from, authtest.Bearer("sk_test_never_seen"))
	}
	f.Fail(nil)
	_, err := g.Admit(t.Context(), from, authtest.Bearer("sk_test_wrong"))
	assertRefused(t, err, wrong(t))
}

func TestLimiterCountsAddresses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tt := range []struct {
		first, second string
		one           bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"", "no address", true},
	} {
		l := auth.NewLimiter(1)
		if wait := l.Failed(tt.first, now); wait != 0 {
			t.Errorf("%q: the first must wait %s", tt.first, wait)
		}
		if got := l.Failed(tt.second, now) > 0; got != tt.one {
			t.Errorf("%q and %q count as one: %t, want %t", tt.first, tt.second, got, tt.one)
		}
	}
	off := auth.NewLimiter(0)
	for range 100 {
		if wait := off.Failed("192.0.2.1", now); wait != 0 {
			t.Fatal("a limiter that is off limits")
		}
	}
}
