package catalog

import (
	"sync"
	"time"

	"carillon/model"
)

// keepFor is how long categories may be older than the database.
const keepFor = 2 * time.Second

// cache remembers the categories of environments for a moment. The zero cache
// is empty.
type cache struct {
	mu      sync.Mutex
	entries map[model.EnvID]entry
	changes int // how often something was forgotten
}

type entry struct {
	list  []model.Category
	until time.Time
}

// get returns what is remembered, or looks up and remembers. What was looked
// up while something was forgotten may be from before the change, and is not
// kept.
func (c *cache) get(env model.EnvID, now time.Time, lookUp func() ([]model.Category, error)) ([]model.Category, error) {
	c.mu.Lock()
	e, found := c.entries[env]
	before := c.changes
	c.mu.Unlock()
	if found && now.Before(e.until) {
		return e.list, nil
	}
	list, err := lookUp()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == before {
		if c.entries == nil {
			c.entries = map[model.EnvID]entry{}
		}
		c.entries[env] = entry{list, now.Add(keepFor)}
	}
	return list, nil
}

// forget drops what is remembered of an environment. Call it after a change.
func (c *cache) forget(env model.EnvID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.entries, env)
	c.changes++
}
