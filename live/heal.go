package live

import (
	"context"
	"slices"
	"time"

	"carillon/model"
)

const (
	// DefaultHeal is the time between two comparisons of everything watched
	// with the database.
	DefaultHeal = 3 * time.Second

	healBatch   = 5000                   // keys of one query
	healTimeout = 5 * time.Second        // for one query
	healGap     = 100 * time.Millisecond // between two comparisons, however often the bus asks
)

// Heads tells where keys stand in the database.
type Heads interface {
	// Heads returns the seq of each key; one that is absent from the answer no
	// longer exists. A key that was never written to is at 0.
	Heads(ctx context.Context, keys []model.LiveKey) (map[model.LiveKey]int64, error)
}

// known is a key and the highest seq that was handed on for it.
type known struct {
	key model.LiveKey
	seq int64
}

// healEvery compares in every interval, and when the bus asks for it.
func (h *Hub) healEvery(ctx context.Context) {
	if h.heads == nil {
		return
	}
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	var all []known
	var failing bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-h.resync:
		}
		all = h.watchers.known(all[:0])
		err := h.heal(ctx, all)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			h.count.failed.Add(1)
		}
		if (err != nil) != failing {
			failing = err != nil
			h.logHealing(ctx, err)
		}
		wait(ctx, healGap)
	}
}

// heal compares the keys with the database, and tells the watchers of those
// that are elsewhere.
func (h *Hub) heal(ctx context.Context, all []known) error {
	all = h.remind(all)
	var keys []model.LiveKey
	rewound := 0
	for batch := range slices.Chunk(all, healBatch) {
		keys = keys[:0]
		for _, k := range batch {
			keys = append(keys, k.key)
		}
		within, cancel := context.WithTimeout(ctx, healTimeout)
		heads, err := h.heads.Heads(within, keys)
		cancel()
		if err != nil {
			return err
		}
		for _, was := range batch {
			head, exists := heads[was.key]
			if h.mend(was, head, exists) {
				rewound++
			}
		}
	}
	if rewound > 0 {
		h.log.WarnContext(ctx, "the database is behind what was published from it; streams of these inboxes begin anew", "inboxes", rewound)
	}
	return nil
}

// remind tells the watchers of deliveries to look for themselves, and returns
// the keys that can be compared. Changes of deliveries have a time and no
// number that would show that one was missed.
func (h *Hub) remind(all []known) []known {
	return slices.DeleteFunc(all, func(k known) bool {
		if k.key.Kind != model.LiveDeliveries {
			return false
		}
		h.deliver(model.Hint{Key: k.key})
		return true
	})
}

// mend makes the hint that was lost, if one was: the key is at head, and was
// known to be at was.seq before the database was asked. It reports whether the
// database has gone back.
func (h *Hub) mend(was known, head int64, exists bool) (rewound bool) {
	if exists && head == was.seq {
		return false
	}
	hint := model.Hint{Key: was.key, Seq: head, Gone: !exists}
	// Hints are published after the commit, so a database that was asked later
	// and knows less has lost it. The numbers of other kinds promise no order.
	hint.Rewound = exists && head < was.seq && was.key.Kind == model.LiveInbox
	k, all := h.watchers.settle(hint, was.seq)
	if k == nil {
		return false
	}
	h.count.healed.Add(1)
	h.count.offered.Add(int64(k.offer(hint, all)))
	return hint.Rewound
}

func (h *Hub) logHealing(ctx context.Context, err error) {
	if err != nil {
		h.log.WarnContext(ctx, "what is watched cannot be compared with the database; trying again", "every", h.interval, "error", err)
		return
	}
	h.log.InfoContext(ctx, "what is watched is compared with the database again")
}

// known appends every watched key to into.
func (ws *watchers) known(into []known) []known {
	for i := range ws.parts {
		p := &ws.parts[i]
		p.mu.Lock()
		for key, k := range p.keys {
			into = append(into, known{key, k.seq})
		}
		p.mu.Unlock()
	}
	return into
}

// settle notes where the database says the hint's key is, and returns who is to
// be told: nobody when the key has moved since it was at seq was, or nobody
// watches it any longer.
func (ws *watchers) settle(h model.Hint, was int64) (k *watched, all []*watch) {
	p := ws.part(h.Key)
	p.mu.Lock()
	defer p.mu.Unlock()
	k = p.keys[h.Key]
	switch {
	case k == nil:
		return nil, nil
	case h.Gone: // however it stands
	case k.seq != was && k.seq >= h.Seq: // a hint came meanwhile and says more
		return nil, nil
	default:
		k.seq = h.Seq
	}
	return k, k.all
}
