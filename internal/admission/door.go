package admission

import (
	"hash/maphash"
	"sync"

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
	if d == nil || d.gate == nil || credential == "" {
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

// Busy reports whether [Desk.TurnsAway] may turn anybody away.
func (d *Desk) Busy() bool { return d != nil && d.gate != nil && d.gate.Rushes() }

// TurnsAway reports whether a request with the credential would be refused for
// want of room, whatever it asks for; see [shed.Gate.TurnsAway]. Who was not
// [Desk.Note]d is not turned away.
func (d *Desk) TurnsAway(credential string) bool {
	if d == nil || d.gate == nil {
		return false
	}
	k := &d.known
	k.mu.RLock()
	env, found := k.envs[maphash.String(k.seed, credential)]
	k.mu.RUnlock()
	return found && d.gate.TurnsAway(int64(env))
}
