package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// KeySize is the length of a master key in bytes.
const KeySize = 32

const dots = "•••"

// Key is a master key. It prints as dots, whatever the verb or encoder; only
// [Key.Reveal] shows it. The zero Key is none.
type Key struct{ secret [KeySize]byte }

// NewKey makes a random master key.
func NewKey() Key {
	var k Key
	if _, err := rand.Read(k.secret[:]); err != nil {
		panic("reading random bytes: " + err.Error()) // crypto/rand promises not to fail
	}
	return k
}

// ParseKey reads a master key from text: 32 bytes as 64 hexadecimal digits or
// as base64 in either alphabet, padded or not. Blanks around it are ignored.
// The error says what is wrong without repeating the text.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Key{}, errors.New("the master key is empty: give 32 random bytes as hex or base64")
	}
	raw, ok := decode(text)
	if !ok {
		return Key{}, errors.New("the master key is neither hex nor base64: give 32 random bytes in one of them")
	}
	if len(raw) != KeySize {
		return Key{}, fmt.Errorf("the master key has %d bytes, must have %d: give 32 random bytes as hex or base64", len(raw), KeySize)
	}
	k := Key{[KeySize]byte(raw)}
	if k.IsZero() {
		return Key{}, errors.New("the master key is all zeros: give 32 random bytes as hex or base64")
	}
	return k, nil
}

// decode tries hex first: 64 hexadecimal digits are base64 too, of 48 bytes,
// which no key has.
func decode(text string) ([]byte, bool) {
	if raw, err := hex.DecodeString(text); err == nil {
		return raw, true
	}
	unpadded := strings.TrimRight(text, "=")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if raw, err := e.Strict().DecodeString(unpadded); err == nil {
			return raw, true
		}
	}
	return nil, false
}

// Reveal is the key as [ParseKey] reads it, for writing it to its file.
func (k Key) Reveal() string { return base64.StdEncoding.EncodeToString(k.secret[:]) }

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k == Key{} }

// id tells keys apart without telling anything about them.
func (k Key) id() [idSize]byte {
	sum := sha256.Sum256(append([]byte("carillon master key id\x00"), k.secret[:]...))
	return [idSize]byte(sum[:idSize])
}

func (Key) String() string               { return dots }
func (Key) GoString() string             { return dots }
func (Key) MarshalText() ([]byte, error) { return []byte(dots), nil }
func (Key) LogValue() slog.Value         { return slog.StringValue(dots) }

// Format keeps verbs that know neither String nor GoString, such as %d, from
// printing the bytes.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, dots) }
