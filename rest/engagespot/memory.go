package engagespot

import (
	"time"

	"carillon/model"
)

// maxRemembered bounds what is remembered for a socket; beyond it all is
// forgotten, and what is true may be told again.
const maxRemembered = 256

// memory is how the items that changed lately were when a socket was told of
// them. The zero memory knows of none.
type memory struct {
	items map[model.NotificationID]known
}

// known is an item as it was told; the zero value stands for one that is not
// remembered.
type known struct {
	seen, read, interacted, archived time.Time
	state                            string
	edition                          int64
}

func (m *memory) of(id model.NotificationID) known { return m.items[id] }

// note remembers a step that was told. After a mark of the whole inbox, or a
// jump in it, what was remembered is out of date.
func (m *memory) note(e *model.InboxEvent) {
	if e.Reset != "" || len(e.Marked) > 0 || len(m.items)+len(e.Added)+len(e.Changed) > maxRemembered {
		m.items = nil
	}
	for _, id := range e.Removed {
		delete(m.items, id)
	}
	for _, list := range [][]model.Notification{e.Added, e.Changed} {
		for i := range list {
			if len(m.items) >= maxRemembered {
				return
			}
			if m.items == nil {
				m.items = map[model.NotificationID]known{}
			}
			n := &list[i]
			m.items[n.ID] = known{n.SeenAt, n.ReadAt, n.InteractedAt, n.ArchivedAt, n.State, editionOf(n)}
		}
	}
}
