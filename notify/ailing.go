package notify

import (
	"context"
	"time"

	"carillon/model"
)

// size is how many recipients the next chunk of a send has.
func (e *expander) size(m model.Send) int {
	size := e.full()
	if t, ok := e.trouble[m.ID]; ok {
		size = t.size
	}
	if m.Content.Personal != 0 {
		return min(size, personalChunk)
	}
	return size
}

// full is how many a chunk of a send without trouble has.
func (e *expander) full() int {
	if e.Chunk == 0 {
		return DefaultChunk
	}
	return e.Chunk
}

// fail notes that a chunk of a send failed, and has it try again in a moment
// with fewer recipients: one of them may be the reason, or there were too many
// for the time a chunk has. Only who is certain to be the reason is given up.
func (e *expander) fail(ctx context.Context, m model.Send, err error) {
	t, known := e.trouble[m.ID]
	if !known {
		t.size = e.full()
	}
	t.alone = certain(err) && t.size == 1
	t.size = max(1, t.size/shrink)
	t.until = time.Now().Add(tick)
	if e.trouble == nil {
		e.trouble = make(map[model.SendID]ailing)
	}
	e.trouble[m.ID] = t
	e.log().ErrorContext(ctx, "expanding a send", "env", m.EnvID, "send", m.ID, "error", err, "again_in", tick)
}

// healthy notes that a chunk of a send succeeded, and took so long. The next
// one is larger again, if it has the time.
func (e *expander) healthy(id model.SendID, took time.Duration) {
	t, known := e.trouble[id]
	if !known {
		return
	}
	if took < chunkTime/shrink/2 {
		if t.size *= shrink; t.size >= e.full() {
			delete(e.trouble, id)
			return
		}
	}
	t.alone, t.until = false, time.Time{}
	e.trouble[id] = t
}
