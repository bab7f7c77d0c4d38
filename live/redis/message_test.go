package redis

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"carillon/model"
)

const (
	us   = 0x0102030405060708 // who sends
	them = 1                  // who receives
)

func everything(model.LiveKey) bool { return true }

// carry encodes the hints and decodes them again.
func carry(t testing.TB, hints ...model.Hint) (got []model.Hint) {
	t.Helper()
	for _, message := range encode(us, hints) {
		if err := decode(string(message), them, everything, func(h model.Hint) { got = append(got, h) }); err != nil {
			t.Fatalf("decoding what was encoded from %+v: %v", hints, err)
		}
	}
	return got
}

// filler gives every field of a value something of its own, so that a field
// that gets lost on the way is seen. With sparse it leaves most of them zero.
type filler struct {
	n      int64
	sparse *rand.Rand
}

func (f *filler) fill(t testing.TB, v reflect.Value) {
	if f.sparse != nil && f.sparse.IntN(2) == 0 {
		return
	}
	f.n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMicro(1_767_323_045_000_001 + f.n*999_999_937).UTC()))
		return
	case json.RawMessage:
		v.SetBytes(fmt.Appendf(nil, `{"n":%d}`, f.n))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int16, reflect.Int64:
		v.SetInt(f.n % (1 << 15))
		if v.Kind() == reflect.Int64 && f.n%3 == 0 {
			v.SetInt(-f.n << 40)
		}
	case reflect.Uint8:
		v.SetUint(uint64(f.n % 256))
	case reflect.String:
		v.SetString(fmt.Sprintf("é\x00%d", f.n))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.fill(t, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; v.Addr().Type() == reflect.TypeFor[*model.Content]() && (name == "Overrides" || name == "Personal") {
				continue // for whoever delivers, and for whoever reads from the database: an inbox that is told shows neither
			}
			f.fill(t, v.Field(i))
		}
	default:
		t.Fatalf("a field has a kind that this test cannot fill: %s", v.Type())
	}
}

func TestEveryFieldArrives(t *testing.T) {
	t.Parallel()
	var h model.Hint
	new(filler).fill(t, reflect.ValueOf(&h).Elem())
	if got := carry(t, h); !reflect.DeepEqual(got, []model.Hint{h}) {
		t.Errorf("got %s\nwant %s", text(got[0]), text(h))
	}
}

func TestAbsentFieldsStayAbsent(t *testing.T) {
	t.Parallel()
	f := filler{sparse: rand.New(rand.NewPCG(1, 2))}
	for range 2000 {
		var h model.Hint
		f.fill(t, reflect.ValueOf(&h).Elem())
		if got := carry(t, h); !reflect.DeepEqual(got, []model.Hint{h}) {
			t.Fatalf("got %s\nwant %s", text(got[0]), text(h))
		}
	}
}

func text(h model.Hint) string {
	b, err := json.MarshalIndent(h, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// said is a hint whose change adds one notification with the content.
func said(user model.UserID, seq int64, c *model.Content) model.Hint {
	return (&model.InboxChange{Env: 1, User: user, Seq: seq, Added: []model.Notification{
		{ID: 5, EnvID: 1, UserID: user, SendID: 6, Content: c, InInbox: true, Seq: seq},
	}}).Hint()
}

// neighbours are users whose inboxes have the same channel.
func neighbours(n int) (users []model.UserID) {
	want := shard(model.InboxKey(1, 0))
	for u := model.UserID(0); len(users) < n; u++ {
		if shard(model.InboxKey(1, u)) == want {
			users = append(users, u)
		}
	}
	return users
}

func TestSharedContentIsSentAndDecodedOnce(t *testing.T) {
	t.Parallel()
	c := &model.Content{Title: "t", Body: strings.Repeat("b", 4000)}
	var hints []model.Hint
	for _, u := range neighbours(100) {
		hints = append(hints, said(u, 1, c))
	}
	size := 0
	for _, message := range encode(us, hints) {
		size += len(message)
	}
	if size > 4100+100*50 {
		t.Errorf("100 hints with one content of 4 kB take %d bytes", size)
	}
	got := carry(t, hints...)
	if !reflect.DeepEqual(got, hints) {
		t.Fatalf("the hints did not arrive as they were")
	}
	for _, h := range got {
		if h.Change.Added[0].Content != got[0].Change.Added[0].Content {
			t.Fatal("the content was decoded more than once")
		}
	}
}

func TestChangeGoesAlongUpToMaxHint(t *testing.T) {
	t.Parallel()
	included := func(body int) bool {
		c := &model.Content{Body: strings.Repeat("b", body)}
		got := carry(t, said(2, 3, c))
		if len(got) != 1 || got[0].Key != model.InboxKey(1, 2) || got[0].Seq != 3 {
			t.Fatalf("with a body of %d bytes %+v arrived, want the hint in any case", body, got)
		}
		return got[0].Change != nil
	}
	const around = 64 // bytes of everything but the body, at most
	for body := range model.MaxHint + 10 {
		if got := included(body); got && body > model.MaxHint || !got && body < model.MaxHint-around {
			t.Fatalf("a change with a body of %d bytes: goes along is %t", body, got)
		}
	}
	many := said(2, 4, &model.Content{Title: "x"})
	for range 1000 {
		many.Change.Changed = append(many.Change.Changed, many.Change.Added[0])
	}
	if got := carry(t, many, said(2, 5, &model.Content{Title: "y"})); got[0].Change != nil || got[1].Change == nil {
		t.Error("a change of 1000 notifications goes along, or the small one after it does not")
	}
}

func TestLargeFlushIsSplitInOrder(t *testing.T) {
	t.Parallel()
	var hints []model.Hint
	for seq := range int64(500) {
		hints = append(hints, said(2, seq+1, &model.Content{Body: strings.Repeat("b", 4000)}))
	}
	messages := 0
	for _, message := range encode(us, hints) {
		messages++
		if len(message) > messageLimit+2*model.MaxHint {
			t.Errorf("a message has %d bytes", len(message))
		}
	}
	if messages < 8 || messages > 10 {
		t.Errorf("2 MB went out as %d messages", messages)
	}
	if !reflect.DeepEqual(carry(t, hints...), hints) {
		t.Error("the hints did not arrive in order and whole")
	}
}

func TestOwnMessagesAreSkipped(t *testing.T) {
	t.Parallel()
	for _, message := range encode(us, []model.Hint{said(2, 1, nil)}) {
		if err := decode(string(message), us, everything, func(h model.Hint) { t.Errorf("delivered %+v", h) }); err != nil {
			t.Error(err)
		}
	}
}

func TestUnwantedHintsAreSkippedUndecoded(t *testing.T) {
	t.Parallel()
	users := neighbours(2)
	hints := []model.Hint{said(users[0], 1, &model.Content{Title: "unwanted"}), said(users[1], 1, &model.Content{Title: "wanted"})}
	for _, message := range encode(us, hints) {
		broken := strings.Replace(string(message), "\x08unwanted", "\xff\xff\xffwanted", 1) // a title of two million bytes
		var got []model.Hint
		err := decode(broken, them, func(k model.LiveKey) bool { return k == hints[1].Key }, func(h model.Hint) { got = append(got, h) })
		if err != nil || !reflect.DeepEqual(got, hints[1:]) {
			t.Errorf("got %+v and error %v, want the wanted one alone", got, err)
		}
		if err := decode(broken, them, everything, func(model.Hint) {}); !errors.Is(err, errMalformed) {
			t.Errorf("with the broken hint wanted the error is %v, want %v", err, errMalformed)
		}
	}
}

func TestStrangeMessagesAreRefused(t *testing.T) {
	t.Parallel()
	var good string
	for _, message := range encode(us, []model.Hint{said(2, 1, &model.Content{Title: "x"})}) {
		good = string(message)
	}
	for name, tt := range map[string]struct {
		message string
		want    error
	}{
		"Empty":        {"", errVersion},
		"NextVersion":  {string(rune(version+1)) + good[1:], errVersion},
		"NoSender":     {good[:5], errMalformed},
		"CutShort":     {good[:len(good)-1], errMalformed},
		"TooLong":      {good + "x", errMalformed},
		"HugeCount":    {good[:9] + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", errMalformed},
		"EndlessCount": {good[:9] + strings.Repeat("\xff", 30), errMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := decode(tt.message, them, everything, func(model.Hint) {}); !errors.Is(err, tt.want) {
				t.Errorf("decode(%q) = %v, want %v", tt.message, err, tt.want)
			}
		})
	}
}

// Processes of different builds must put a key on the same channel.
func TestChannelOfAKeyIsFixed(t *testing.T) {
	t.Parallel()
	for key, want := range map[model.LiveKey]int{
		model.InboxKey(1, 2):                        47,
		model.SendKey(1, 2):                         6,
		model.InboxKey(1_000_003, 9007199254740991): 35,
		{Env: 2, Kind: 9, ID: -5}:                   58,
	} {
		if got := shard(key); got != want {
			t.Errorf("shard(%+v) = %d, want %d", key, got, want)
		}
	}
}

func TestKeysSpreadOverTheChannels(t *testing.T) {
	t.Parallel()
	var keys [shards]int
	for u := range model.UserID(1000 * shards) {
		keys[shard(model.InboxKey(7, u))]++
	}
	for s, n := range keys {
		if n < 800 || n > 1200 {
			t.Errorf("channel %d has %d keys of 64000, want about 1000", s, n)
		}
	}
}

// FuzzDecodeEnvelope holds decode to two promises: it never panics, whatever
// Redis brings, and what it delivers is what a process could have published:
// encoded and decoded again it is the same.
func FuzzDecodeEnvelope(f *testing.F) {
	var full model.Hint
	new(filler).fill(f, reflect.ValueOf(&full).Elem())
	for _, hints := range [][]model.Hint{{full}, {said(1, 2, nil), {Key: model.SendKey(3, 4), Seq: -1, Gone: true}}} {
		for _, message := range encode(us, hints) {
			f.Add(string(message))
		}
	}
	f.Add("")
	f.Add("\x01AAAAAAAA\x00\x01\x01\x01\x02\x04\x06\x00")
	f.Fuzz(func(t *testing.T, message string) {
		var got []model.Hint
		_ = decode(message, them, everything, func(h model.Hint) { got = append(got, h) })
		for _, h := range got {
			again := carry(t, h)
			if len(again) != 1 {
				t.Fatalf("%+v arrives as %d hints", h, len(again))
			}
			if again[0].Change == nil {
				h.Change = nil // it was too large
			}
			if !reflect.DeepEqual(again[0], h) {
				t.Errorf("got %s\nwant %s", text(again[0]), text(h))
			}
		}
	})
}

// BenchmarkDecode measures a message of 16 hints of one send: whole, and when
// nobody here watches any of their keys.
func BenchmarkDecode(b *testing.B) {
	c := &model.Content{Title: "Your order is on its way", Body: strings.Repeat("b", 200)}
	var hints []model.Hint
	for _, u := range neighbours(16) {
		hints = append(hints, said(u, 7, c))
	}
	var message string
	for _, m := range encode(us, hints) {
		message = string(m)
	}
	for name, wanted := range map[string]bool{"watched": true, "unwatched": false} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := decode(message, them, func(model.LiveKey) bool { return wanted }, func(model.Hint) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
