package store

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"carillon/model"
)

// said remembers what sends say. That changes when one is edited, and then every
// notification of it says so: it asks for an edition, which what is remembered
// must have reached. Looking that up again, for each of the twenty items of an inbox, is half of what it
// costs PostgreSQL to read one. When the room is used up some go, no matter
// which.
type said struct {
	mu    sync.RWMutex
	bytes int
	byKey map[sendKey]*model.Content
}

type sendKey struct {
	env model.EnvID
	id  model.SendID
}

const (
	saidRoom = 32 << 20 // bytes
	// saidMost is the largest content that is remembered, so that no few drive
	// out all others.
	saidMost = 16 << 10
)

// weight is about what a content takes.
func weight(c *model.Content) int {
	n := 256 + len(c.Title) + len(c.Body) + len(c.Icon) + len(c.URL) + len(c.Data)
	for _, b := range c.Blocks {
		n += 128 + len(b.ID) + len(b.Text) + len(b.Link) + len(b.Src)
	}
	return n
}

// of gives the items what is remembered, and lists the sends of the others.
func (m *said) of(asks []*newestAsk) (missing map[sendKey]*model.Content) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, a := range asks {
		for i := range a.page.Items {
			n := &a.page.Items[i]
			key := sendKey{n.EnvID, n.SendID}
			if n.Content = m.byKey[key]; n.Content == nil || n.Content.Edition < a.edited[n.SendID] {
				n.Content = nil
				if missing == nil {
					missing = map[sendKey]*model.Content{}
				}
				missing[key] = nil
			}
		}
	}
	return missing
}

// put remembers contents.
func (m *said) put(found map[sendKey]*model.Content) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byKey == nil {
		m.byKey = map[sendKey]*model.Content{}
	}
	for key, c := range found {
		w, old := weight(c), m.byKey[key]
		if old != nil && old.Edition < c.Edition {
			delete(m.byKey, key)
			m.bytes -= weight(old)
			old = nil
		}
		if old != nil || w > saidMost {
			continue
		}
		for k, old := range m.byKey { // in no order
			if m.bytes+w <= saidRoom {
				break
			}
			delete(m.byKey, k)
			m.bytes -= weight(old)
		}
		m.byKey[key] = c
		m.bytes += w
	}
}

// forget lets go of contents.
func (m *said) forget(keys []sendKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		if old := m.byKey[key]; old != nil {
			delete(m.byKey, key)
			m.bytes -= weight(old)
		}
	}
}

const contentStatement = `select k.place, s.title, s.content from unnest($1::bigint[], $2::bigint[]) with ordinality k (env_id, id, place)
	join sends s on s.env_id = k.env_id and s.id = k.id`

// fill gives the items of a batch what their sends say. A send that is no
// longer kept says nothing, and is not remembered.
func (m *said) fill(ctx context.Context, conn *pgx.Conn, asks []*newestAsk) error {
	missing := m.of(asks)
	if len(missing) == 0 {
		return nil
	}
	size := max(len(missing), togetherLeast)
	keys := make([]sendKey, 0, len(missing))
	envs, ids := make([]int64, 0, size), make([]int64, 0, size)
	for key := range missing {
		keys, envs, ids = append(keys, key), append(envs, int64(key.env)), append(ids, int64(key.id))
	}
	err := ask(ctx, conn, "contents", contentStatement, func(r *rawRow) error {
		key := keys[r.number()-1]
		title, rest := r.text(), r.text()
		c, err := decodeContent(title, rest)
		if err != nil {
			return fmt.Errorf("send %d: %w", key.id, err)
		}
		missing[key] = c
		return nil
	}, envs[:size], ids[:size])
	if err != nil {
		return err
	}
	for _, a := range asks {
		for i := range a.page.Items {
			n := &a.page.Items[i]
			if n.Content != nil {
				continue
			}
			key := sendKey{n.EnvID, n.SendID}
			if missing[key] == nil {
				missing[key] = new(model.Content)
			}
			n.Content = missing[key]
		}
	}
	for key, c := range missing {
		if c == nil || c.Title == "" { // nothing is sent without a title
			delete(missing, key)
		}
	}
	m.put(missing)
	return nil
}
