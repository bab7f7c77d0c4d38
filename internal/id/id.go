// Package id makes time-ordered text ids and UUIDs. It knows nothing of what
// they name.
package id

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

var encoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// Source makes ids that no other Source makes, each greater than the one
// before. The zero Source reads the system clock.
type Source struct {
	// Now is the clock; nil means time.Now. It may jump back: ids go on growing.
	Now func() time.Time

	mu   sync.Mutex
	last [12]byte
}

// New returns 20 characters in [0-9a-v]: 48 bits of milliseconds, then 48
// random bits that count up within a millisecond. Byte order is time order.
func (s *Source) New() string {
	b := s.next()
	return encoding.EncodeToString(b[:])
}

// UUID returns a version 7 UUID in its usual text form; byte order is time
// order among the UUIDs of one Source.
func (s *Source) UUID() string {
	b := s.next()
	var u [16]byte
	copy(u[:6], b[:6])
	if _, err := rand.Read(u[6:]); err != nil {
		panic("reading random bytes: " + err.Error()) // crypto/rand promises not to fail
	}
	copy(u[9:15], b[6:])
	u[6] = 0x70 | u[6]&0x0f
	u[8] = 0x80 | u[8]&0x3f
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (s *Source) next() [12]byte {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	var fresh [12]byte
	binary.BigEndian.PutUint64(fresh[:8], uint64(now().UnixMilli())<<16)
	if _, err := rand.Read(fresh[6:]); err != nil {
		panic("reading random bytes: " + err.Error())
	}
	fresh[6] &= 0x7f // room to count up within the millisecond

	s.mu.Lock()
	defer s.mu.Unlock()
	if string(fresh[:6]) <= string(s.last[:6]) {
		fresh = s.last
		for i := len(fresh) - 1; i >= 0; i-- {
			fresh[i]++
			if fresh[i] != 0 {
				break
			}
		}
	}
	s.last = fresh
	return fresh
}
