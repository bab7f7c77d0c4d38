package live

import "sync/atomic"

// Stats are a hub's numbers since it was made; Watchers, Keys and Healthy are
// those of now. Hints are counted one by one.
type Stats struct {
	Published int64 // given to Publish
	Sent      int64 // of these, handed to the bus, which took them
	Dropped   int64 // of these, lost to other processes: the bus was away or too slow
	Received  int64 // delivered by the bus for a watched key
	Offered   int64 // calls of Offer
	Healed    int64 // hints made because a comparison found a key elsewhere
	Failed    int64 // comparisons that the database did not answer
	Watchers  int64
	Keys      int64 // that have a watcher
	Healthy   bool  // as Hub.Healthy
}

type counts struct {
	published, sent, dropped, received, offered, healed, failed, watchers, keys atomic.Int64
}

// Stats reads the numbers. They are read one after the other, so they need not
// add up while the hub is in use.
func (h *Hub) Stats() Stats {
	c := &h.count
	return Stats{
		Published: c.published.Load(),
		Sent:      c.sent.Load(),
		Dropped:   c.dropped.Load(),
		Received:  c.received.Load(),
		Offered:   c.offered.Load(),
		Healed:    c.healed.Load(),
		Failed:    c.failed.Load(),
		Watchers:  c.watchers.Load(),
		Keys:      c.keys.Load(),
		Healthy:   h.Healthy(),
	}
}
