package auth

import (
	"net/netip"
	"sync"
	"time"
)

// DefaultFailures is how many wrong credentials a minute an address may
// present before it is told to wait.
const DefaultFailures = 20

// maxAddresses bounds the memory of a Limiter, at about 100 bytes each.
const maxAddresses = 8192

// Limiter counts wrong credentials by address: an IPv4 address, or the /64 of
// an IPv6 one. Each may present PerMinute at once and one more each
// minute/PerMinute. Loopback is an address like any other.
//
// Above the limit wrong credentials are answered with RATE_LIMITED instead of
// UNAUTHENTICATED. Good ones are never held up: a whole office or a proxy can
// stand behind one address, and one client there that goes on presenting an
// expired token must not lock out the others. Guessing gains nothing by that,
// since secrets have 256 bits; the limit keeps broken clients and noise down.
//
// It is safe for concurrent use; [NewLimiter] makes one. A nil Limiter limits
// nothing.
type Limiter struct {
	perMinute int

	mu        sync.Mutex
	addresses map[netip.Prefix]failures
}

// failures is a bucket: what is left of the allowance at a time.
type failures struct {
	left float64
	at   time.Time
}

// NewLimiter returns a Limiter, or nil, which limits nothing, when perMinute
// is zero or less.
func NewLimiter(perMinute int) *Limiter {
	if perMinute <= 0 {
		return nil
	}
	return &Limiter{perMinute: perMinute, addresses: map[netip.Prefix]failures{}}
}

// Failed counts a wrong credential from address at now. It returns how long
// the address must wait before the next one is answered as such; zero: it is
// within the limit.
func (l *Limiter) Failed(address string, now time.Time) time.Duration {
	if l == nil {
		return 0
	}
	prefix := prefixOf(address)
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ok := l.addresses[prefix]
	if !ok && len(l.addresses) >= maxAddresses {
		l.makeRoom(now)
	}
	f.left, f.at = l.refilled(f, ok, now), now
	var wait time.Duration
	if f.left >= 1 {
		f.left--
	} else {
		wait = time.Duration((1 - f.left) * float64(time.Minute) / float64(l.perMinute))
	}
	l.addresses[prefix] = f
	return wait
}

func (l *Limiter) refilled(f failures, known bool, now time.Time) float64 {
	full := float64(l.perMinute)
	if !known {
		return full
	}
	return min(full, f.left+now.Sub(f.at).Minutes()*full)
}

// makeRoom drops the addresses that have their whole allowance again, and one
// of the others when there are none.
func (l *Limiter) makeRoom(now time.Time) {
	var tried int
	for prefix, f := range l.addresses {
		if tried == 0 || l.refilled(f, true, now) >= float64(l.perMinute) {
			delete(l.addresses, prefix)
		}
		if tried++; tried == evictTries {
			return
		}
	}
}

// prefixOf is what is counted as one address. Whoever has an IPv6 network has
// 2^64 addresses of it. Text that is no address is counted as one together.
func prefixOf(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap()
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}
