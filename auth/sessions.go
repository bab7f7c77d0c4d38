package auth

import (
	"container/heap"
	"context"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"carillon/model"
)

const (
	never = math.MaxInt64 // in microseconds

	// expireEvery is how late a session may end after its expiry.
	expireEvery = time.Second
	// pollEvery is how often credentials and users of sessions are looked
	// after, and so how late a revocation in another process ends a stream.
	pollEvery = 2 * time.Second
	// pollTimeout bounds one look, so that a database that hangs is asked again.
	pollTimeout = 10 * time.Second
)

// SessionLookup is what Sessions ask of the database; the store has it.
type SessionLookup interface {
	// EndedCredentials returns those of ids that are revoked, expired at now
	// or gone.
	EndedCredentials(ctx context.Context, ids []model.CredentialID, now time.Time) ([]model.CredentialID, error)
	UserLookup
}

// Sessions is the registry of open streams in this process. It ends each when
// its credential expires or is revoked, or its user is deleted. It is safe for
// concurrent use; [NewSessions] makes one, and [Sessions.Run] must run.
type Sessions struct {
	// Now is the clock by which credentials expire, [time.Now] unless it is set
	// before the first use.
	Now func() time.Time

	lookup SessionLookup
	log    *slog.Logger

	mu          sync.Mutex
	users       map[model.UserRef][]*Session // those of a secret key under user 0
	credentials map[model.CredentialID]int   // how many sessions each has
	expiring    expiryHeap
}

// NewSessions returns an empty registry. Failed look-ups are logged to log;
// they end no session.
func NewSessions(lookup SessionLookup, log *slog.Logger) *Sessions {
	return &Sessions{
		Now: time.Now, lookup: lookup, log: log,
		users: map[model.UserRef][]*Session{}, credentials: map[model.CredentialID]int{},
	}
}

// Open enters a stream of caller. When it must end, end is called once, from
// another goroutine and with the session already out of the registry; it must
// not block. Whoever opens closes, also after end was called.
func (r *Sessions) Open(caller Caller, end func(Reason)) *Session {
	s := &Session{
		registry: r, end: end, kind: caller.Kind, identifier: caller.User, credential: caller.Credential,
		user: model.UserRef{Env: caller.Env.ID, ID: caller.UserID}, expires: micros(caller.Expires), inHeap: -1,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.open = true
	s.ofUser = len(r.users[s.user])
	r.users[s.user] = append(r.users[s.user], s)
	r.index(s)
	return s
}

// Len is the number of open sessions.
func (r *Sessions) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int
	for _, ss := range r.users {
		n += len(ss)
	}
	return n
}

// EndCredential ends the sessions of a credential that was just revoked in
// this process; others notice by themselves within two seconds.
func (r *Sessions) EndCredential(id model.CredentialID) {
	r.endAll(ReasonRevoked, r.take(func(s *Session) bool { return s.credential == id }))
}

// EndUser ends the sessions of a user who was just deleted in this process.
func (r *Sessions) EndUser(env model.EnvID, user model.UserID) {
	r.endAll(ReasonNoUser, r.takeUsers([]model.UserRef{{Env: env, ID: user}}))
}

// Run ends sessions until ctx is done: at their expiry, a second late at most,
// and within about two seconds of a revocation or deletion anywhere.
func (r *Sessions) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { every(ctx, expireEvery, func() { r.endAll(ReasonExpired, r.takeExpired(r.Now())) }) })
	// On its own, so that a slow database does not hold up expiry.
	wg.Go(func() { every(ctx, pollEvery, func() { r.poll(ctx) }) })
	wg.Wait()
}

// poll asks about everybody at once: one query about credentials and one about
// users (for each pollBatch of them), however many streams are open.
func (r *Sessions) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	credentials, users := r.watched()
	if len(credentials) > 0 {
		ended, err := r.lookup.EndedCredentials(ctx, credentials, r.Now())
		if err != nil {
			r.failed(ctx, err)
			return
		}
		if len(ended) > 0 {
			r.endAll(ReasonRevoked, r.take(func(s *Session) bool { return slices.Contains(ended, s.credential) }))
		}
	}
	for batch := range slices.Chunk(users, pollBatch) {
		missing, err := r.lookup.MissingUsers(ctx, batch)
		if err != nil {
			r.failed(ctx, err)
			return
		}
		r.endAll(ReasonNoUser, r.takeUsers(missing))
	}
}

func (r *Sessions) failed(ctx context.Context, err error) {
	if ctx.Err() != context.Canceled {
		r.log.WarnContext(ctx, "looking after open sessions", "error", err)
	}
}

func (r *Sessions) watched() ([]model.CredentialID, []model.UserRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	credentials := make([]model.CredentialID, 0, len(r.credentials))
	for id := range r.credentials {
		credentials = append(credentials, id)
	}
	users := make([]model.UserRef, 0, len(r.users))
	for u := range r.users {
		if u.ID != 0 {
			users = append(users, u)
		}
	}
	return credentials, users
}

// take removes the sessions that match, for ending them outside the lock.
func (r *Sessions) take(match func(*Session) bool) []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*Session
	for _, ss := range r.users {
		for _, s := range ss {
			if match(s) {
				out = append(out, s)
			}
		}
	}
	r.remove(out...)
	return out
}

func (r *Sessions) takeUsers(users []model.UserRef) []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*Session
	for _, u := range users {
		out = append(out, r.users[u]...)
	}
	r.remove(out...)
	return out
}

func (r *Sessions) takeExpired(now time.Time) []*Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*Session
	for len(r.expiring) > 0 && r.expiring[0].expires <= now.UnixMicro() {
		out = append(out, r.expiring[0])
		r.remove(r.expiring[0])
	}
	return out
}

func (r *Sessions) endAll(why Reason, ss []*Session) {
	for _, s := range ss {
		s.end(why)
	}
}

// remove takes sessions out of every index; those out already stay out.
func (r *Sessions) remove(ss ...*Session) {
	for _, s := range ss {
		if !s.open {
			continue
		}
		s.open = false
		r.unindex(s)
		others := r.users[s.user]
		last := others[len(others)-1]
		others[s.ofUser], last.ofUser = last, s.ofUser
		others[len(others)-1] = nil
		if others = others[:len(others)-1]; len(others) == 0 {
			delete(r.users, s.user)
		} else {
			r.users[s.user] = others
		}
	}
}

// index enters what a renewal changes.
func (r *Sessions) index(s *Session) {
	if s.credential != "" {
		r.credentials[s.credential]++
	}
	if s.expires != never {
		heap.Push(&r.expiring, s)
	}
}

func (r *Sessions) unindex(s *Session) {
	if s.credential != "" {
		if r.credentials[s.credential]--; r.credentials[s.credential] == 0 {
			delete(r.credentials, s.credential)
		}
	}
	if s.inHeap >= 0 {
		heap.Remove(&r.expiring, s.inHeap)
	}
}

// expiryHeap has the session that expires next in front.
type expiryHeap []*Session

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].expires < h[j].expires }

func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].inHeap, h[j].inHeap = i, j
}

func (h *expiryHeap) Push(x any) {
	s := x.(*Session)
	s.inHeap = len(*h)
	*h = append(*h, s)
}

func (h *expiryHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.inHeap = -1
	return s
}
