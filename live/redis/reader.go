package redis

import (
	"encoding/json"
	"strings"
	"time"

	"carillon/model"
)

// reader takes the parts of a message from its front. After the first thing
// that is not as it should be it is bad, and gives zeros. It never reads beyond
// its text and never allocates more than the text could fill.
type reader struct {
	rest string
	bad  bool
}

func (r *reader) fail() {
	r.rest, r.bad = "", true
}

// take returns the next n bytes; they share memory with the message.
func (r *reader) take(n int) string {
	if n < 0 || n > len(r.rest) {
		r.fail()
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) byte() byte {
	s := r.take(1)
	if s == "" {
		return 0
	}
	return s[0]
}

// uint reads an unsigned varint: seven bits a byte, the lowest first.
func (r *reader) uint() (n uint64) {
	for i := range len(r.rest) {
		b := r.rest[i]
		if i == 9 && b > 1 {
			break // more than 64 bits
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
	r.fail()
	return 0
}

func (r *reader) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// count reads how many things follow, of which each takes at least size bytes.
func (r *reader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.rest)/size) {
		r.fail()
		return 0
	}
	return int(n)
}

// section reads a length and that many bytes, which share memory with the message.
func (r *reader) section() string { return r.take(r.count(1)) }

// string copies, so that what is kept does not hold on to the whole message.
func (r *reader) string() string { return strings.Clone(r.section()) }

func (r *reader) time() time.Time { return time.UnixMicro(r.int()).UTC() }

func (r *reader) bool() bool { return r.byte() != 0 }

// content reads to the end of a text that writer.content wrote.
func (r *reader) content() *model.Content {
	c := &model.Content{Title: r.string(), Body: r.string(), Icon: r.string(), URL: r.string()}
	if n := r.uint(); n > uint64(len(r.rest))+1 {
		r.fail()
	} else if n > 0 {
		c.Data = append(json.RawMessage{}, r.take(int(n-1))...)
	}
	const least = 7 // bytes of a block
	for range r.count(least) {
		c.Blocks = append(c.Blocks, model.Block{
			ID: r.string(), Type: r.string(), Text: r.string(), Variant: r.string(),
			Link: r.string(), ExternalLink: r.bool(), Src: r.string(),
		})
	}
	if r.rest != "" {
		c.Edition, c.Own, c.EditedAt = r.int(), r.bool(), r.time()
	}
	return c
}

// change reads what writer.change wrote. ref finds a content of the message by
// its place.
func (r *reader) change(key model.LiveKey, seq int64, ref func(uint64) (*model.Content, bool)) *model.InboxChange {
	c := &model.InboxChange{Env: key.Env + model.EnvID(r.int()), User: model.UserID(key.ID + r.int()), Seq: seq + r.int()}
	c.Counters = model.Counters{Total: r.int(), Unseen: r.int(), Unread: r.int()}
	c.Added = r.notifications(c, ref)
	c.Changed = r.notifications(c, ref)
	if n := r.count(1); n > 0 {
		c.Removed = make([]model.NotificationID, n)
		for i := range c.Removed {
			c.Removed[i] = model.NotificationID(r.int())
		}
	}
	const least = 3 // bytes of a mark
	for range r.count(least) {
		m := model.InboxMark{As: model.MarkState(r.string()), UpTo: r.int()}
		if zero := r.bool(); !zero {
			m.At = r.time()
		}
		c.Marked = append(c.Marked, m)
	}
	c.Deed = model.Deed{As: model.MarkState(r.string()), All: r.bool()}
	return c
}

func (r *reader) notifications(c *model.InboxChange, ref func(uint64) (*model.Content, bool)) []model.Notification {
	const least = 10 // bytes of a notification
	n := r.count(least)
	if n == 0 {
		return nil
	}
	ns := make([]model.Notification, n)
	for i := range ns {
		r.notification(&ns[i], c, ref)
	}
	return ns
}

func (r *reader) notification(n *model.Notification, c *model.InboxChange, ref func(uint64) (*model.Content, bool)) {
	n.ID = model.NotificationID(r.int())
	n.EnvID = c.Env + model.EnvID(r.int())
	n.UserID = c.User + model.UserID(r.int())
	n.SendID = model.SendID(r.int())
	n.CategoryID = model.CategoryID(r.int())
	var ok bool
	if n.Content, ok = ref(r.uint()); !ok {
		r.fail()
	}
	n.State = r.string()
	reason := r.int()
	if n.Reason = model.Reason(reason); int64(n.Reason) != reason {
		r.fail()
	}
	n.Seq = c.Seq + r.int()
	r.times(n)
}

func (r *reader) times(n *model.Notification) {
	flags := r.byte()
	n.InInbox = flags&inInbox != 0
	var at int64
	for i, t := range notificationTimes(n) {
		if flags&(1<<i) != 0 {
			at += r.int()
			*t = time.UnixMicro(at).UTC()
		}
	}
}
