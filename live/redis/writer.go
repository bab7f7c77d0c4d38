package redis

import (
	"encoding/binary"
	"time"

	"carillon/model"
)

// writer appends the parts of a message.
type writer []byte

func (w *writer) byte(b byte)      { *w = append(*w, b) }
func (w *writer) uint(n uint64)    { *w = binary.AppendUvarint(*w, n) }
func (w *writer) int(n int64)      { *w = binary.AppendVarint(*w, n) }
func (w *writer) len(n int)        { w.uint(uint64(n)) }
func (w *writer) string(s string)  { w.len(len(s)); *w = append(*w, s...) }
func (w *writer) bytes(b []byte)   { w.len(len(b)); *w = append(*w, b...) }
func (w *writer) time(t time.Time) { w.int(t.UnixMicro()) }

func (w *writer) bool(b bool) {
	if b {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

// content writes what a send says. Data is preceded by its length plus one, so
// that none at all (0) differs from empty (1).
func (w *writer) content(c *model.Content) {
	w.string(c.Title)
	w.string(c.Body)
	w.string(c.Icon)
	w.string(c.URL)
	if c.Data == nil {
		w.uint(0)
	} else {
		w.len(len(c.Data) + 1)
		*w = append(*w, c.Data...)
	}
	w.len(len(c.Blocks))
	for i := range c.Blocks {
		b := &c.Blocks[i]
		w.string(b.ID)
		w.string(b.Type)
		w.string(b.Text)
		w.string(b.Variant)
		w.string(b.Link)
		w.bool(b.ExternalLink)
		w.string(b.Src)
	}
	if c.Edition != 0 || c.Own || !c.EditedAt.IsZero() { // else there is nothing that a release before edits could not read
		w.int(c.Edition)
		w.bool(c.Own)
		w.time(c.EditedAt)
	}
}

// change writes an inbox change, which goes with key. ref tells the place of a
// content in the message.
func (w *writer) change(key model.LiveKey, seq int64, c *model.InboxChange, ref func(*model.Content) int) {
	w.int(int64(c.Env - key.Env))
	w.int(int64(c.User) - key.ID)
	w.int(c.Seq - seq)
	w.int(c.Counters.Total)
	w.int(c.Counters.Unseen)
	w.int(c.Counters.Unread)
	w.notifications(c, c.Added, ref)
	w.notifications(c, c.Changed, ref)
	w.len(len(c.Removed))
	for _, id := range c.Removed {
		w.int(int64(id))
	}
	w.len(len(c.Marked))
	for _, m := range c.Marked {
		w.string(string(m.As))
		w.int(m.UpTo)
		w.bool(m.At.IsZero())
		if !m.At.IsZero() {
			w.time(m.At)
		}
	}
	w.string(string(c.Deed.As))
	w.bool(c.Deed.All)
}

func (w *writer) notifications(c *model.InboxChange, ns []model.Notification, ref func(*model.Content) int) {
	w.len(len(ns))
	for i := range ns {
		n := &ns[i]
		w.int(int64(n.ID))
		w.int(int64(n.EnvID - c.Env))
		w.int(int64(n.UserID - c.User))
		w.int(int64(n.SendID))
		w.int(int64(n.CategoryID))
		w.len(ref(n.Content)) // 0: none
		w.string(n.State)
		w.int(int64(n.Reason))
		w.int(n.Seq - c.Seq)
		w.times(n)
	}
}

// times writes a byte that says which times are set, and in its highest bit
// InInbox, and then those times, each as the difference to the one before.
func (w *writer) times(n *model.Notification) {
	at := len(*w)
	w.byte(0)
	var flags byte
	var before int64
	for i, t := range notificationTimes(n) {
		if !t.IsZero() {
			flags |= 1 << i
			w.int(t.UnixMicro() - before)
			before = t.UnixMicro()
		}
	}
	if n.InInbox {
		flags |= inInbox
	}
	(*w)[at] = flags
}

const inInbox = 1 << 7

// notificationTimes are the times of a notification, in their order on the wire.
func notificationTimes(n *model.Notification) [7]*time.Time {
	return [7]*time.Time{&n.SortAt, &n.CreatedAt, &n.SeenAt, &n.ReadAt, &n.InteractedAt, &n.ArchivedAt, &n.ExpiresAt}
}
