package notify

import (
	"maps"
	"slices"
	"sync"

	"carillon/model"
)

// underWay are the sends that workers of this process are at.
type underWay struct {
	mu    sync.Mutex
	sends map[model.SendID]bool
}

// enter reports whether nobody is at a send. Whoever enters leaves.
func (u *underWay) enter(id model.SendID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sends[id] {
		return false
	}
	if u.sends == nil {
		u.sends = map[model.SendID]bool{}
	}
	u.sends[id] = true
	return true
}

func (u *underWay) leave(id model.SendID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.sends, id)
}

// list are the sends that somebody is at.
func (u *underWay) list() []model.SendID {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.AppendSeq(make([]model.SendID, 0, len(u.sends)), maps.Keys(u.sends))
}
