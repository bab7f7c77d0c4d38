package auth_test

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carillon/auth"
	"carillon/auth/authtest"
	"carillon/model"
)

func TestABusyCredentialCostsNoQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		for _, g := range goodForms(t, f) {
			if g.want.Env.UserAuth == model.AuthToken && g.want.Kind == auth.User {
				// Missing users are looked for each time, so let them exist.
				if _, _, err := f.EnsureUser(t.Context(), g.want.Env.ID, g.want.User); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := f.auth.Authenticate(t.Context(), g.with); err != nil {
				t.Fatal(err)
			}
			before := f.Calls()
			for range 100 {
				if _, err := f.auth.Authenticate(t.Context(), g.with); err != nil {
					t.Fatal(err)
				}
			}
			if n := f.Calls() - before; n != 0 {
				t.Errorf("%s: %d look-ups in 100 more times, want none", g.name, n)
			}
		}
	})
}

func TestChangesCountWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		with   func(*testing.T, *fixture) auth.Presented
		change func(*fixture)
		env    func(*fixture) model.EnvID
	}{
		"SecretKeyRevoked": {
			func(_ *testing.T, f *fixture) auth.Presented { return f.token.Secret() },
			func(f *fixture) { f.Revoke(f.token.SecretKeyID) },
			func(f *fixture) model.EnvID { return f.token.ID },
		},
		"SigningSecretRevoked": {
			func(t *testing.T, f *fixture) auth.Presented { return f.token.Token(t, "ada") },
			func(f *fixture) { f.Revoke(f.token.Signing.ID) },
			func(f *fixture) model.EnvID { return f.token.ID },
		},
		"TokenKeyRevokedWithoutKid": {
			func(_ *testing.T, f *fixture) auth.Presented {
				return authtest.Bearer(authtest.Forge(authtest.Object{"alg": "RS256"}, userClaims("ada").With("apiKey", f.token.APIKey), authtest.RS256(f.token.RSAKey)))
			},
			func(f *fixture) { f.Revoke(f.token.RSA.ID) },
			func(f *fixture) model.EnvID { return f.token.ID },
		},
		"APISecretRevoked": {
			func(_ *testing.T, f *fixture) auth.Presented { return f.hmac.Signed("ada") },
			func(f *fixture) { f.Revoke(f.hmac.APISecretID) },
			func(f *fixture) model.EnvID { return f.hmac.ID },
		},
		"OpenBecomesToken": {
			func(_ *testing.T, f *fixture) auth.Presented { return f.open.User("ada") },
			func(f *fixture) {
				f.Change(f.open.ID, func(e *model.Environment) { e.UserAuth = model.AuthToken })
			},
			func(f *fixture) model.EnvID { return f.open.ID },
		},
	} {
		for _, forget := range []bool{false, true} {
			t.Run(name+"/Forget="+strconv.FormatBool(forget), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					f := newFixture(t)
					p := tt.with(t, f)
					if _, err := f.auth.Authenticate(t.Context(), p); err != nil {
						t.Fatal(err)
					}
					pass(time.Second)
					tt.change(f)
					if forget {
						f.auth.Forget(tt.env(f))
					} else {
						pass(2 * time.Second)
					}
					_, err := f.auth.Authenticate(t.Context(), p)
					assertRefused(t, err, wrong(t))
				})
			})
		}
	}
}

func TestKeyExpiresWhileItIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.ChangeCredential(f.token.SecretKeyID, func(c *model.Credential) { c.ExpiresAt = time.Now().Add(time.Second) })
		p := f.token.Secret()
		if _, err := f.auth.Authenticate(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		_, err := f.auth.Authenticate(t.Context(), p)
		assertRefused(t, err, wrong(t))
	})
}

func TestTokenExpiresWhileItIsRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := authtest.Bearer(f.token.TokenFor(t, "ada", time.Minute))
		for at := time.Duration(0); at < 2*time.Minute; at += time.Second { // exp and leeway
			if _, err := f.auth.Authenticate(t.Context(), p); err != nil {
				t.Fatalf("after %s: %v", at, err)
			}
			pass(time.Second)
		}
		_, err := f.auth.Authenticate(t.Context(), p)
		assertRefused(t, err, wrong(t))
	})
}

func TestRememberedTokenNeedsTheSameHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.token.Token(t, "ada")
	if _, err := f.auth.Authenticate(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*auth.Presented){
		"OtherUser":        func(p *auth.Presented) { p.User = "bob" },
		"OtherEnvironment": func(p *auth.Presented) { p.Key = f.other.APIKey },
		"LastCharacter":    func(p *auth.Presented) { p.Authorization = p.Authorization[:len(p.Authorization)-1] + "A" },
	} {
		t.Run(name, func(t *testing.T) {
			q := p
			change(&q)
			if q == p {
				q.Authorization = p.Authorization[:len(p.Authorization)-1] + "Q"
			}
			_, err := f.auth.Authenticate(t.Context(), q)
			assertRefused(t, err, wrong(t))
		})
	}
}

func TestTokenThatNamesNoEnvironmentIsNotRemembered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := authtest.Bearer(authtest.Forge(authtest.Object{"alg": "HS256"}, userClaims("ada"), authtest.HS256(f.token.SigningSecret)))
	named := p
	named.Key = f.token.APIKey
	if _, err := f.auth.Authenticate(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	_, err := f.auth.Authenticate(t.Context(), p)
	assertRefused(t, err, wrong(t))
}

func TestANewCredentialIsFoundAfterAMiss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		p := authtest.Bearer("sk_test_made_later")
		before := f.Calls()
		for range 10 {
			if _, err := f.auth.Authenticate(t.Context(), p); err == nil {
				t.Fatal("an unknown key was admitted")
			}
		}
		if n := f.Calls() - before; n != 1 {
			t.Errorf("%d look-ups of one unknown key, want one", n)
		}
		f.AddSecret(f.token.ID, model.CredentialSecretKey, "sk_test_made_later")
		pass(500 * time.Millisecond)
		if _, err := f.auth.Authenticate(t.Context(), p); err != nil {
			t.Errorf("half a second after it was made: %v", err)
		}

		p = authtest.Bearer("sk_test_made_here")
		if _, err := f.auth.Authenticate(t.Context(), p); err == nil {
			t.Fatal("an unknown key was admitted")
		}
		f.AddSecret(f.token.ID, model.CredentialSecretKey, "sk_test_made_here")
		f.auth.Forget(f.token.ID)
		if _, err := f.auth.Authenticate(t.Context(), p); err != nil {
			t.Errorf("at once in the process that made it: %v", err)
		}
	})
}

// slowLookup reads, and then waits before it answers.
type slowLookup struct {
	*authtest.World
	read, answer chan struct{}
	once         sync.Once
}

func (l *slowLookup) CredentialByHash(ctx context.Context, hash []byte) (model.Credential, error) {
	c, err := l.World.CredentialByHash(ctx, hash)
	l.once.Do(func() {
		close(l.read)
		<-l.answer
	})
	return c, err
}

func TestForgetReachesALookupUnderWay(t *testing.T) {
	t.Parallel()
	w := authtest.NewWorld(t)
	e := w.NewEnv(t, model.AuthToken)
	lookup := &slowLookup{World: w, read: make(chan struct{}), answer: make(chan struct{})}
	s := auth.NewService(auth.Config{Lookup: lookup, Box: w.Box})
	done := make(chan error)
	go func() {
		_, err := s.Authenticate(t.Context(), e.Secret())
		done <- err
	}()
	<-lookup.read
	w.Revoke(e.SecretKeyID)
	s.Forget(e.ID)
	close(lookup.answer)
	if err := <-done; err != nil {
		t.Errorf("the request that began before the revocation: %v", err)
	}
	_, err := s.Authenticate(t.Context(), e.Secret())
	assertRefused(t, err, wrong(t))
}

func TestUsersInUseAreAskedAboutTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		s := auth.NewService(auth.Config{Lookup: f.World, Box: f.Box, Users: f.World})
		ctx, stop := context.WithCancel(t.Context())
		go s.Run(ctx)
		defer stop()
		const users = 100
		all := func() (last auth.Caller) {
			for i := range users {
				var err error
				if last, err = s.Authenticate(ctx, f.open.User("user "+strconv.Itoa(i))); err != nil {
					t.Fatal(err)
				}
			}
			return last
		}
		last := all()
		before := f.Calls()
		for range 40 { // ten seconds
			pass(250 * time.Millisecond)
			all()
		}
		if n := f.Calls() - before; n > 10+2*5 {
			t.Errorf("%d look-ups for %d users in ten seconds, want one a second and those of the environment", n, users)
		}

		f.DeleteUser(f.open.ID, last.UserID)
		pass(2 * time.Second)
		if again := all(); again.UserID == last.UserID {
			t.Errorf("user %d is remembered two seconds after the deletion", last.UserID)
		}
	})
}

func TestForgetUser(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first, err := f.auth.Authenticate(t.Context(), f.open.User("ada"))
	if err != nil {
		t.Fatal(err)
	}
	f.DeleteUser(f.open.ID, first.UserID)
	f.auth.ForgetUser(f.open.ID, "ada")
	again, err := f.auth.Authenticate(t.Context(), f.open.User("ada"))
	if err != nil || again.UserID == first.UserID {
		t.Errorf("user %d, error %v; want a new user, not the deleted %d", again.UserID, err, first.UserID)
	}
}
