package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func newBox(t testing.TB, keys ...Key) *Box {
	t.Helper()
	b, err := NewBox(keys[0], keys[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenGivesBackWhatWasSealed(t *testing.T) {
	t.Parallel()
	b := newBox(t, NewKey())
	for _, text := range []string{"", "a secret", strings.Repeat("long ", 1000)} {
		sealed := b.Seal([]byte(text), []byte("row 1"))
		if text != "" && bytes.Contains(sealed, []byte(text)) {
			t.Errorf("the sealed text shows %q", text)
		}
		if again := b.Seal([]byte(text), []byte("row 1")); bytes.Equal(sealed, again) {
			t.Errorf("sealing %q twice gave the same bytes: the nonce repeats", text)
		}
		got, err := b.Open(sealed, []byte("row 1"))
		if err != nil || string(got) != text {
			t.Errorf("Open = %q, %v; want %q", got, err, text)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	b := newBox(t, NewKey())
	sealed := b.Seal([]byte("secret"), []byte("row 1"))
	for i := range sealed {
		altered := bytes.Clone(sealed)
		altered[i] ^= 1
		if got, err := b.Open(altered, []byte("row 1")); err == nil {
			t.Errorf("opened as %q with byte %d altered", got, i)
		}
		if got, err := b.Open(sealed[:i], []byte("row 1")); err == nil {
			t.Errorf("opened as %q when cut to %d bytes", got, i)
		}
	}
	if got, err := b.Open(sealed, []byte("row 2")); err == nil {
		t.Errorf("opened as %q in another row", got)
	}
	if _, err := newBox(t, NewKey()).Open(sealed, []byte("row 1")); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key: error %v, want ErrWrongKey", err)
	}
}

func TestOlderKeysOpen(t *testing.T) {
	t.Parallel()
	older, newer := NewKey(), NewKey()
	sealed := newBox(t, older).Seal([]byte("secret"), nil)
	both := newBox(t, newer, older)
	if got, err := both.Open(sealed, nil); err != nil || string(got) != "secret" {
		t.Errorf("Open = %q, %v; want the older key's text", got, err)
	}
	if _, err := newBox(t, older).Open(both.Seal([]byte("x"), nil), nil); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the older key opened what the newer one should have sealed (error %v)", err)
	}
}

func TestCanaryTellsAWrongKey(t *testing.T) {
	t.Parallel()
	b := newBox(t, NewKey())
	canary := b.Canary()
	if err := b.CheckCanary(canary); err != nil {
		t.Errorf("own canary: %v", err)
	}
	if err := newBox(t, NewKey()).CheckCanary(canary); !errors.Is(err, ErrWrongKey) {
		t.Errorf("another key's canary: error %v, want ErrWrongKey", err)
	}
	for _, bad := range []string{"", "?", "AAAA", canary[:20]} {
		if b.CheckCanary(bad) == nil {
			t.Errorf("canary %q passed", bad)
		}
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	want := Key{[KeySize]byte(bytes.Repeat([]byte{0xfb, 0xff, 0x01, 0x7e}, 8))}
	raw := want.secret[:]
	for _, text := range []string{
		want.Reveal(),
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)),
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw) + "\n",
	} {
		if got, err := ParseKey(text); err != nil || got != want {
			t.Errorf("ParseKey(%q) differs, error %v", text, err)
		}
	}
	for _, text := range []string{
		"", " ", "password", strings.Repeat("z", 64), strings.Repeat("a", 63), strings.Repeat("a", 66),
		strings.Repeat("0", 64), "not base64!", want.Reveal() + want.Reveal(),
	} {
		_, err := ParseKey(text)
		if err == nil {
			t.Errorf("ParseKey(%q) passed", text)
		} else if len(text) > 4 && strings.Contains(err.Error(), text) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
}

func TestZeroKeyMakesNoBox(t *testing.T) {
	t.Parallel()
	if _, err := NewBox(Key{}); err == nil {
		t.Error("NewBox took the zero key")
	}
	if _, err := NewBox(NewKey(), Key{}); err == nil {
		t.Error("NewBox took the zero key as an older one")
	}
}

func TestKeysPrintAsDots(t *testing.T) {
	t.Parallel()
	k := Key{[KeySize]byte(bytes.Repeat([]byte{0xa7}, KeySize))}
	var out bytes.Buffer
	holder := struct{ Key Key }{k}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%t"} {
		fmt.Fprintf(&out, verb+"\n", k)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", &k)
		fmt.Fprintf(&out, verb+"\n", newBox(t, k))
	}
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "key", k, "holder", holder)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "key", k, "holder", holder)
	for _, leak := range []string{"a7a7", "A7A7", "167", k.Reveal()[:8], "247", "10100111"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output holds %q of the key:\n%s", leak, out.String())
		}
	}
}

// FuzzOpen holds Open to two promises: it never panics on what a database
// hands it, and nothing opens that was not sealed.
func FuzzOpen(f *testing.F) {
	b := newBox(f, Key{[KeySize]byte(bytes.Repeat([]byte{7}, KeySize))})
	header := append([]byte{version}, b.current[:]...)
	f.Add([]byte{}, []byte{})
	f.Add(header, []byte("row"))
	f.Add(append(header, make([]byte, 28)...), []byte("row"))
	f.Fuzz(func(t *testing.T, sealed, context []byte) {
		if got, err := b.Open(sealed, context); err == nil {
			t.Errorf("opened %x under %q as %q", sealed, context, got)
		}
	})
}
