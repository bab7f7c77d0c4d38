package admission

import (
	"hash/maphash"
	"sync"
	"time"

	"carillon/internal/shed"
	"carillon/model"
)

// mostKnown bounds how many credentials are remembered.
const mostKnown = 1 << 16

// known remembers which environment credentials were good for, by a hash of
// theirs. It says whose turn it is and lets nobody in: that two hashes are the
// same, or that a credential is good no more, does no harm.
type known struct {
	seed maphash.Seed

	mu   sync.RWMutex
	envs map[uint64]model.EnvID
}

// Note remembers that the credential, as it was sent, is good for an environment.
func (d *Desk) Note(credential string, env model.EnvID) {
	if d == nil || credential == "" {
		return
	}
	k := &d.known
	hash := maphash.String(k.seed, credential)
	k.mu.RLock()
	was, ok := k.envs[hash]
	k.mu.RUnlock()
	if ok && was == env {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.envs) >= mostKnown {
		clear(k.envs)
	}
	k.envs[hash] = env
}

// rateOver is for how long somebody is expected to be over the rate again.
const rateOver = time.Second

// Busy reports whether [Desk.Refuses] may refuse anybody. It costs next to nothing.
func (d *Desk) Busy() bool {
	return d != nil && (d.overRate(time.Now()) || d.gate != nil && d.gate.Rushes())
}

// overRate reports whether an environment was over its rate of late.
func (d *Desk) overRate(now time.Time) bool { return now.UnixNano() < d.over.Load() }

// Refuses is why [Desk.Admit] would refuse a request with the credential, whatever it
// asks for; nil when it may not. That is either the rate of its environment or want
// of room, of which see [shed.Gate.TurnsAway]. Who was not [Desk.Note]d is not
// refused.
func (d *Desk) Refuses(credential string) error {
	if d == nil {
		return nil
	}
	k := &d.known
	k.mu.RLock()
	env, found := k.envs[maphash.String(k.seed, credential)]
	k.mu.RUnlock()
	if !found {
		return nil
	}
	if now := time.Now(); d.overRate(now) {
		if wait := d.environments.Lacks(env, 1, now); wait > 0 {
			d.over.Store(now.Add(rateOver).UnixNano())
			d.limited.Add(1)
			return tooMany(wait, ofEnvironment)
		}
	}
	if d.gate != nil && d.gate.TurnsAway(int64(env)) {
		return shed.Busy()
	}
	return nil
}
