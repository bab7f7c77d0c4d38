package cursor_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"carillon/internal/cursor"
	"carillon/model"
)

func TestPositionComesBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, p := range []model.Position{
		{},
		{Epoch: 1, User: 2, Seq: 3},
		{Epoch: 1<<64 - 1, User: model.MaxID, Seq: model.MaxID},
	} {
		got, err := cursor.DecodePosition(cursor.EncodePosition(p))
		if err != nil || got != p {
			t.Errorf("%+v came back as %+v, %v", p, got, err)
		}
	}
}

func TestMomentComesBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{time.UnixMicro(0).UTC(), time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), time.UnixMicro(model.MaxID).UTC()} {
		got, err := cursor.DecodeMoment(cursor.EncodeMoment(at))
		if err != nil || !got.Equal(at) {
			t.Errorf("%s came back as %s, %v", at, got, err)
		}
	}
}

func TestPageComesBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, k := range []model.PageKey{
		{},
		{ID: 7},
		{At: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), ID: model.MaxID},
		{Text: "ada@example.com"},
		{Text: strings.Repeat("é", model.MaxIdentifier/2)},
	} {
		got, err := cursor.DecodePage('x', cursor.EncodePage('x', k))
		if err != nil || got != k {
			t.Errorf("%+v came back as %+v, %v", k, got, err)
		}
	}
}

func TestWhatNobodyWroteIsRefused(t *testing.T) {
	t.Parallel()
	position := cursor.EncodePosition(model.Position{Epoch: 1, User: 2, Seq: 3})
	page := cursor.EncodePage('x', model.PageKey{ID: 7})
	raw, _ := base64.RawURLEncoding.DecodeString(position)
	forged := func(at int, b byte) string {
		c := append([]byte{}, raw...)
		c[at] = b
		return base64.RawURLEncoding.EncodeToString(c)
	}
	for name, s := range map[string]string{
		"Empty": "", "Text": "next", "Padded": position + "==", "Newline": position[:8] + "\n" + position[8:],
		"LooseBits": position[:len(position)-1] + "N", "Short": position[:len(position)-4], "Long": position + "AAAA",
		"Page": page, "OtherVersion": forged(0, 9), "NegativeUser": forged(9, 0xff), "NegativeSeq": forged(17, 0x80), "Huge": strings.Repeat("A", 1<<20),
	} {
		if p, err := cursor.DecodePosition(s); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: DecodePosition(%.40q) = %+v, %v; want it refused", name, s, p, err)
		}
	}
	for name, s := range map[string]string{
		"Empty": "", "Position": position, "Page": page, "Before1970": cursor.EncodeMoment(time.UnixMicro(-1)), "Short": "Aw", "Huge": strings.Repeat("A", 1<<20),
	} {
		if at, err := cursor.DecodeMoment(s); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: DecodeMoment(%.40q) = %s, %v; want it refused", name, s, at, err)
		}
	}
	for name, s := range map[string]string{
		"Empty": "", "Position": position, "OtherList": cursor.EncodePage('y', model.PageKey{ID: 7}), "Short": page[:8],
		"BrokenText": cursor.EncodePage('x', model.PageKey{Text: "\xff"}), "NegativeID": cursor.EncodePage('x', model.PageKey{ID: -1}), "Huge": strings.Repeat("A", 1<<20),
	} {
		if k, err := cursor.DecodePage('x', s); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: DecodePage(%.40q) = %+v, %v; want it refused", name, s, k, err)
		}
	}
}

// FuzzDecodePosition holds DecodePosition to two promises: it never panics on
// what a client sends, and what it accepts is exactly what EncodePosition would
// have written.
func FuzzDecodePosition(f *testing.F) {
	f.Add(cursor.EncodePosition(model.Position{}))
	f.Add(cursor.EncodePosition(model.Position{Epoch: 1<<64 - 1, User: model.MaxID, Seq: model.MaxID}))
	f.Add("")
	f.Add("AQ==")
	f.Add("AQAAAAAAAAABAAAAAAAAAAIAAAAAAAAAAx")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := cursor.DecodePosition(s)
		if err != nil {
			return
		}
		if again := cursor.EncodePosition(p); again != s {
			t.Errorf("DecodePosition(%q) = %+v, which encodes to %q", s, p, again)
		}
	})
}

// FuzzDecodeMoment holds DecodeMoment to the same two promises.
func FuzzDecodeMoment(f *testing.F) {
	f.Add(cursor.EncodeMoment(time.UnixMicro(0)))
	f.Add(cursor.EncodeMoment(time.UnixMicro(model.MaxID)))
	f.Add("")
	f.Add("Aw==")
	f.Fuzz(func(t *testing.T, s string) {
		at, err := cursor.DecodeMoment(s)
		if err != nil {
			return
		}
		if again := cursor.EncodeMoment(at); again != s {
			t.Errorf("DecodeMoment(%q) = %s, which encodes to %q", s, at, again)
		}
	})
}

// FuzzDecodePage holds DecodePage to the same two promises.
func FuzzDecodePage(f *testing.F) {
	f.Add(byte('x'), cursor.EncodePage('x', model.PageKey{}))
	f.Add(byte('x'), cursor.EncodePage('x', model.PageKey{At: time.Unix(1767322800, 0), ID: 7, Text: "é"}))
	f.Add(byte(0), "")
	f.Add(byte('x'), "Ang")
	f.Fuzz(func(t *testing.T, kind byte, s string) {
		k, err := cursor.DecodePage(kind, s)
		if err != nil {
			return
		}
		if again := cursor.EncodePage(kind, k); again != s {
			t.Errorf("DecodePage(%q) = %+v, which encodes to %q", s, k, again)
		}
	})
}
