package notify

import (
	"maps"
	"slices"
	"sync"

	"carillon/model"
)

// underWay are the sends that workers of this process are at.
type underWay struct {
	mu      sync.Mutex
	sends   map[model.SendID]bool
	reached map[model.SendID]model.UserID // up to whom they have come
}

// mostReached bounds what is remembered: of sends that were cancelled there is
// nobody to say that they have ended.
const mostReached = 1000

// enter reports whether nobody is at a send, and none has come further than was
// read before entering. Whoever enters leaves.
func (u *underWay) enter(id model.SendID, reached model.UserID) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.sends[id] || reached < u.reached[id] {
		return false
	}
	if u.sends == nil {
		u.sends, u.reached = map[model.SendID]bool{}, map[model.SendID]model.UserID{}
	}
	u.sends[id] = true
	return true
}

// came notes up to whom a worker has come with a send, and whether that was all.
func (u *underWay) came(id model.SendID, reached model.UserID, ended bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.reached) >= mostReached {
		clear(u.reached)
	}
	if u.reached[id] = reached; ended {
		delete(u.reached, id)
	}
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
