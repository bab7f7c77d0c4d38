package redis

import (
	"encoding/binary"
	"errors"
	"iter"

	"carillon/model"
)

const (
	version = 2

	// shards is how many channels the keys are spread over. It is part of what
	// processes agree on, like the hash and the version.
	shards = 64

	// messageLimit is where a message is closed and another begun, in bytes. One
	// hint can take a message over it, by model.MaxHint at most.
	messageLimit = 256 << 10
)

const (
	flagChange = 1 << iota
	flagGone
	flagRewound
)

// shard is the channel of a key: FNV-1a over its 17 bytes.
func shard(key model.LiveKey) int {
	h := uint64(14695981039346656037)
	mix := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	mix(byte(key.Kind))
	for i := 0; i < 64; i += 8 {
		mix(byte(key.Env >> i))
	}
	for i := 0; i < 64; i += 8 {
		mix(byte(key.ID >> i))
	}
	return int(h % shards)
}

// message is one that is being written.
type message struct {
	shard    int
	contents []*model.Content // in the order of their places
	size     int              // of the contents, in bytes
	hints    writer
	count    int
}

// place returns where the content stands in the message, counted from 1, and
// adds it if need be. No content has place 0.
func (m *message) place(c *model.Content) int {
	if c == nil {
		return 0
	}
	for i := len(m.contents) - 1; i >= 0; i-- {
		if m.contents[i] == c {
			return i + 1
		}
	}
	m.contents = append(m.contents, c)
	return len(m.contents)
}

// encoder writes the messages of one call of Publish.
type encoder struct {
	sender   uint64
	contents map[*model.Content][]byte // encoded once, however many messages hold it
	open     []message
	at       [shards]uint8 // where the shard's message stands in open, counted from 1
	body     writer        // of the change at hand
}

// encode yields the messages for the hints with their shards: for each shard in
// the order of its hints, and rarely more than one.
func encode(sender uint64, hints []model.Hint) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		e := &encoder{sender: sender, contents: make(map[*model.Content][]byte)}
		for _, h := range hints {
			m := e.message(shard(h.Key))
			e.add(m, h)
			if len(m.hints)+m.size > messageLimit && !yield(m.shard, e.finish(m)) {
				return
			}
		}
		for i := range e.open {
			if m := &e.open[i]; m.count > 0 && !yield(m.shard, e.finish(m)) {
				return
			}
		}
	}
}

// message returns the one that is being written for the shard. It is valid
// until the next call.
func (e *encoder) message(shard int) *message {
	if e.at[shard] == 0 {
		e.open = append(e.open, message{shard: shard})
		e.at[shard] = uint8(len(e.open))
	}
	return &e.open[e.at[shard]-1]
}

func (e *encoder) add(m *message, h model.Hint) {
	var flags byte
	if h.Change != nil && e.change(m, h) {
		flags |= flagChange
	}
	if h.Gone {
		flags |= flagGone
	}
	if h.Rewound {
		flags |= flagRewound
	}
	m.hints.byte(byte(h.Key.Kind))
	m.hints.byte(flags)
	m.hints.int(int64(h.Key.Env))
	m.hints.int(h.Key.ID)
	m.hints.int(h.Seq)
	if flags&flagChange != 0 {
		m.hints.bytes(e.body)
	}
	m.count++
}

// change encodes the hint's change into e.body and reports whether it is small
// enough to go along. What it needs of contents is then in the message.
func (e *encoder) change(m *message, h model.Hint) bool {
	room := model.MaxHint - e.weight(h.Change)
	if room < 0 {
		return false
	}
	had := len(m.contents)
	e.body = e.body[:0]
	e.body.change(h.Key, h.Seq, h.Change, m.place)
	if len(e.body) > room {
		m.contents = m.contents[:had]
		return false
	}
	for _, c := range m.contents[had:] {
		m.size += len(e.contents[c])
	}
	return true
}

// weight is the size of the contents that a change refers to, in bytes; one
// that stands in a row of notifications counts once. It stops counting beyond
// model.MaxHint.
func (e *encoder) weight(c *model.InboxChange) (n int) {
	var last *model.Content
	for _, list := range [2][]model.Notification{c.Added, c.Changed} {
		for i := range list {
			if content := list[i].Content; content != nil && content != last {
				last = content
				if n += e.sizeOf(content); n > model.MaxHint {
					return n
				}
			}
		}
	}
	return n
}

// sizeOf is the encoded size of a content. One that is too large for any hint
// is not kept.
func (e *encoder) sizeOf(c *model.Content) int {
	b, ok := e.contents[c]
	if !ok {
		if raw := len(c.Title) + len(c.Body) + len(c.Data); raw > model.MaxHint {
			return raw
		}
		var w writer
		w.content(c)
		b = w
		e.contents[c] = b
	}
	return len(b)
}

// finish returns the message as bytes and makes it empty.
func (e *encoder) finish(m *message) []byte {
	const head = 1 + 8 + 2*binary.MaxVarintLen32
	w := make(writer, 0, head+m.size+len(m.contents)*binary.MaxVarintLen32+len(m.hints))
	w.byte(version)
	w = binary.BigEndian.AppendUint64(w, e.sender)
	w.len(len(m.contents))
	for _, c := range m.contents {
		w.bytes(e.contents[c])
	}
	w.len(m.count)
	w = append(w, m.hints...)
	m.contents, m.hints = m.contents[:0], m.hints[:0]
	m.size, m.count = 0, 0
	return w
}

var (
	errVersion   = errors.New("it was written by another version of the server")
	errMalformed = errors.New("it is malformed")
)

// decode calls deliver with the hints of a message whose keys are wanted,
// unless self sent it. After an error the hints before it have been delivered.
func decode(text string, self uint64, wanted func(model.LiveKey) bool, deliver func(model.Hint)) error {
	r := reader{rest: text}
	if r.byte() != version {
		return errVersion
	}
	sender := r.take(8)
	if r.bad {
		return errMalformed
	}
	if binary.BigEndian.Uint64([]byte(sender)) == self {
		return nil
	}
	contents := readContents(&r)
	const least = 5 // bytes of a hint
	for range r.count(least) {
		h, change := readHint(&r)
		if r.bad {
			break
		}
		if !wanted(h.Key) {
			continue
		}
		if change != "" {
			body := reader{rest: change}
			if h.Change = body.change(h.Key, h.Seq, contents.at); body.bad || body.rest != "" {
				return errMalformed
			}
		}
		deliver(h)
	}
	if r.bad || r.rest != "" {
		return errMalformed
	}
	return nil
}

// readHint reads one hint, and of its change, if there is one, the text.
func readHint(r *reader) (h model.Hint, change string) {
	h.Key.Kind = model.LiveKind(r.byte())
	flags := r.byte()
	h.Key.Env = model.EnvID(r.int())
	h.Key.ID = r.int()
	h.Seq = r.int()
	h.Gone = flags&flagGone != 0
	h.Rewound = flags&flagRewound != 0
	if flags&flagChange != 0 {
		if change = r.section(); change == "" {
			r.fail() // the shortest change has ten bytes
		}
	}
	return h, change
}

// contents are those of a message, decoded when the first hint asks for them
// and shared by the hints that follow.
type contents []struct {
	text    string
	decoded *model.Content
}

func readContents(r *reader) contents {
	cs := make(contents, r.count(1))
	for i := range cs {
		cs[i].text = r.section()
	}
	return cs
}

// at returns the content at a place, or false when there is none.
func (cs contents) at(place uint64) (*model.Content, bool) {
	if place == 0 {
		return nil, true
	}
	if place > uint64(len(cs)) {
		return nil, false
	}
	c := &cs[place-1]
	if c.decoded == nil {
		r := reader{rest: c.text}
		content := r.content()
		if r.bad || r.rest != "" {
			return nil, false
		}
		c.decoded = content
	}
	return c.decoded, true
}
