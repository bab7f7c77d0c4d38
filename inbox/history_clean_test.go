package inbox_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"carillon/model"
)

// kept is so little that a history reaches all of its limits.
var kept = model.Retention{Tombstones: 40 * time.Second, Items: 4 * time.Minute, Cap: 30}

// clean lets the janitor come, after which an inbox holds what the rules say,
// and whoever comes back from long ago begins anew.
func (h *history) clean() string {
	removed := 0
	for _, u := range h.users {
		old := u.ideal.live(func(i *item) bool { return i.n.SortAt.Before(h.clock.now().Add(-kept.Items)) })
		u.ideal.remove(old)
		over := u.ideal.live(func(i *item) bool { return i.archive.IsZero() })
		slices.SortFunc(over, func(a, b *item) int {
			return cmp.Or(-cmp.Compare(one(!a.read.IsZero()), one(!b.read.IsZero())), a.n.SortAt.Compare(b.n.SortAt), cmp.Compare(a.n.ID, b.n.ID))
		})
		over = over[:max(0, len(over)-kept.Cap)]
		u.ideal.remove(over)
		u.touched = true
		removed += len(old) + len(over)
	}
	if err := h.service.Clean(h.t.Context(), kept); err != nil {
		h.t.Fatalf("Clean: %v", err)
	}
	return fmt.Sprintf("clean %d", removed)
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
