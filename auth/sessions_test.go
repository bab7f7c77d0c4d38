package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carillon/auth"
	"carillon/model"
)

// streams opens sessions and remembers how each ended.
type streams struct {
	*auth.Sessions
	mu    sync.Mutex
	ended map[string][]auth.Reason
	at    map[string]time.Time
}

func (s *streams) open(name string, c auth.Caller) *auth.Session {
	return s.Open(c, func(why auth.Reason) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended[name] = append(s.ended[name], why)
		s.at[name] = time.Now()
	})
}

// want fails unless the session ended once for this reason; an empty reason:
// unless it is open.
func (s *streams) want(t *testing.T, name string, why auth.Reason) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var want []auth.Reason
	if why != "" {
		want = []auth.Reason{why}
	}
	if got := s.ended[name]; !slices.Equal(got, want) {
		t.Errorf("session %s ended with %q, want %q", name, got, want)
	}
}

// inBubble runs test with Run running on f's world.
func inBubble(t *testing.T, test func(t *testing.T, f *fixture, s *streams)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		s := &streams{
			Sessions: auth.NewSessions(f.World, slog.New(slog.DiscardHandler)),
			ended:    map[string][]auth.Reason{}, at: map[string]time.Time{},
		}
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		test(t, f, s)
		stop()
		wg.Wait()
	})
}

func (f *fixture) caller(t *testing.T, p auth.Presented) auth.Caller {
	t.Helper()
	c, err := f.auth.Authenticate(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSessionsEndAtTheirExpiry(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		c := f.caller(t, f.hmac.Token(t, "ada"))
		for name, in := range map[string]time.Duration{"Past": -time.Second, "Soon": 90 * time.Second, "Later": time.Hour} {
			c.Expires = time.Now().Add(in)
			s.open(name, c)
		}
		c.Expires = time.Time{}
		s.open("Never", c)
		start := time.Now()

		pass(1500 * time.Millisecond)
		s.want(t, "Past", auth.ReasonExpired)
		s.want(t, "Soon", "")
		pass(24 * time.Hour)
		s.want(t, "Soon", auth.ReasonExpired)
		s.want(t, "Later", auth.ReasonExpired)
		s.want(t, "Never", "")
		for name, due := range map[string]time.Duration{"Soon": 90 * time.Second, "Later": time.Hour} {
			if late := s.at[name].Sub(start.Add(due)); late < 0 || late > time.Second {
				t.Errorf("%s ended %s after its expiry, want at most a second", name, late)
			}
		}
		if n := s.Len(); n != 1 {
			t.Errorf("%d sessions are open, want one", n)
		}
	})
}

func TestRevocationElsewhereEndsSessions(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		s.open("Secret", f.caller(t, f.hmac.Secret()))
		s.open("Token", f.caller(t, f.hmac.Token(t, "ada")))
		s.open("Signed", f.caller(t, f.hmac.Signed("ada")))
		s.open("Open", f.caller(t, f.open.User("ada")))
		s.open("Other", f.caller(t, f.open.Token(t, "ada")))
		for name, id := range map[string]model.CredentialID{"Secret": f.hmac.SecretKeyID, "Token": f.hmac.Signing.ID, "Signed": f.hmac.APISecretID} {
			pass(10 * time.Second)
			s.want(t, name, "")
			f.Revoke(id)
			pass(2 * time.Second)
			s.want(t, name, auth.ReasonRevoked)
		}
		s.want(t, "Open", "")
		s.want(t, "Other", "")
	})
}

func TestDeletionElsewhereEndsSessionsOfTheUser(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		ada, bob := f.caller(t, f.open.User("ada")), f.caller(t, f.open.User("bob"))
		s.open("Ada", ada)
		s.open("AdaAgain", ada)
		s.open("Bob", bob)
		s.open("Unknown", f.caller(t, f.token.Token(t, "ada")))
		pass(10 * time.Second)
		f.DeleteUser(f.open.ID, ada.UserID)
		pass(2 * time.Second)
		s.want(t, "Ada", auth.ReasonNoUser)
		s.want(t, "AdaAgain", auth.ReasonNoUser)
		s.want(t, "Bob", "")
		s.want(t, "Unknown", "")
	})
}

func TestSessionsEndAtOnceInThisProcess(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		ada, bob := f.caller(t, f.hmac.Token(t, "ada")), f.caller(t, f.hmac.Signed("bob"))
		s.open("Ada", ada)
		s.open("Bob", bob)
		s.EndUser(f.other.ID, ada.UserID)
		s.want(t, "Ada", "")
		s.EndUser(f.hmac.ID, ada.UserID)
		s.want(t, "Ada", auth.ReasonNoUser)
		s.want(t, "Bob", "")
		s.EndCredential(f.hmac.Signing.ID)
		s.want(t, "Bob", "")
		s.EndCredential(f.hmac.APISecretID)
		s.want(t, "Bob", auth.ReasonRevoked)
	})
}

func TestClosedSessionsAreNotEnded(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		c := f.caller(t, f.hmac.Token(t, "ada"))
		session := s.open("Closed", c)
		other := s.open("Open", c)
		session.Close()
		session.Close()
		if n := s.Len(); n != 1 {
			t.Errorf("%d sessions are open, want one", n)
		}
		s.EndCredential(c.Credential)
		other.Close() // whoever opens closes, also after the end
		f.DeleteUser(c.Env.ID, c.UserID)
		pass(2 * time.Hour)
		s.want(t, "Closed", "")
		s.want(t, "Open", auth.ReasonRevoked)
		before := f.Calls()
		pass(time.Minute)
		if n := f.Calls() - before; n != 0 {
			t.Errorf("%d queries with nothing open, want none", n)
		}
	})
}

func TestRenew(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		fresh := func(ttl time.Duration, user string) auth.Caller {
			c := f.caller(t, f.hmac.Token(t, user))
			c.Expires = time.Now().Add(ttl)
			return c
		}
		session := s.open("Renewed", fresh(time.Minute, "ada"))
		pass(50 * time.Second)
		if err := session.Renew(fresh(time.Hour, "ada")); err != nil {
			t.Fatal(err)
		}
		pass(59 * time.Minute)
		s.want(t, "Renewed", "")

		for name, c := range map[string]auth.Caller{
			"OtherUser":        fresh(time.Hour, "bob"),
			"OtherEnvironment": f.caller(t, f.open.Token(t, "ada")),
			"SecretKey":        f.caller(t, f.hmac.Secret()),
			"Nobody":           {},
		} {
			if err := session.Renew(c); model.KindOf(err) != model.KindForbidden {
				t.Errorf("%s: error %v, want KindForbidden", name, err)
			}
		}
		// By another credential: then that one counts.
		last := f.caller(t, f.hmac.Signed("ada"))
		if err := session.Renew(last); err != nil {
			t.Fatal(err)
		}
		f.Revoke(f.hmac.Signing.ID)
		pass(24 * time.Hour)
		s.want(t, "Renewed", "")
		f.Revoke(f.hmac.APISecretID)
		pass(2 * time.Second)
		s.want(t, "Renewed", auth.ReasonRevoked)
		if err := session.Renew(last); err == nil {
			t.Error("a session that has ended was renewed")
		}
		unknown := s.open("Unknown", f.caller(t, f.token.Token(t, "ada")))
		if err := unknown.Renew(f.caller(t, f.token.Token(t, "bob"))); model.KindOf(err) != model.KindForbidden {
			t.Errorf("two users who are not known yet count as one: %v", err)
		}
	})
}

func TestSessionsOutliveALostDatabase(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		c := f.caller(t, f.hmac.Signed("ada"))
		s.open("Kept", c)
		c.Expires = time.Now().Add(5 * time.Second)
		s.open("Expiring", c)
		f.Revoke(f.hmac.APISecretID)
		f.Fail(errors.New("the database is away"))
		pass(time.Minute)
		s.want(t, "Kept", "")
		s.want(t, "Expiring", auth.ReasonExpired)
		f.Fail(nil)
		pass(2 * time.Second)
		s.want(t, "Kept", auth.ReasonRevoked)
	})
}

// hanging is a database that does not answer.
type hanging struct{}

func (hanging) EndedCredentials(ctx context.Context, _ []model.CredentialID, _ time.Time) ([]model.CredentialID, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (hanging) MissingUsers(ctx context.Context, _ []model.UserRef) ([]model.UserRef, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestExpiryDoesNotWaitForTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := auth.NewSessions(hanging{}, slog.New(slog.NewTextHandler(&log, nil)))
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		var ended time.Time
		due := time.Now().Add(5 * time.Second)
		s.Open(auth.Caller{Kind: auth.Secret, Credential: "c", Expires: due}, func(auth.Reason) { ended = time.Now() })
		pass(15 * time.Second)
		if late := ended.Sub(due); late < 0 || late > time.Second {
			t.Errorf("ended %s after its expiry, want at most a second", late)
		}
		stop()
		wg.Wait()
		if !strings.Contains(log.String(), "looking after open sessions") {
			t.Errorf("nothing is logged of a database that does not answer: %q", log.String())
		}
	})
}

// TestSessionsByTheThousand opens, closes and ends many at once, from many
// goroutines, and holds that the registry is empty afterwards and that each
// was ended at most once.
func TestSessionsByTheThousand(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture, s *streams) {
		base := f.caller(t, f.hmac.Token(t, "ada"))
		var wg sync.WaitGroup
		var mu sync.Mutex
		ends := map[int]int{}
		for g := range 8 {
			wg.Go(func() {
				for i := range 500 {
					n := g*500 + i
					c := base
					c.UserID = model.UserID(1 + n%97)
					c.Expires = time.Now().Add(time.Duration(n%13) * time.Second)
					session := s.Open(c, func(auth.Reason) {
						mu.Lock()
						defer mu.Unlock()
						ends[n]++
					})
					switch n % 5 {
					case 0:
						session.Close()
					case 1:
						s.EndUser(c.Env.ID, c.UserID)
					case 2:
						c.Expires = time.Now().Add(time.Hour)
						_ = session.Renew(c) // may have ended
					}
				}
			})
		}
		wg.Wait()
		pass(2 * time.Hour)
		if n := s.Len(); n != 0 {
			t.Errorf("%d sessions are open, want none", n)
		}
		for n, times := range ends {
			if times > 1 {
				t.Errorf("session %d was ended %d times", n, times)
			}
		}
	})
}
