package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// A sealed text is: version (1 byte), key id (4), nonce (12), ciphertext and
// tag (16 more than the plaintext). Version and key id are authenticated
// together with the context.
const (
	version    = 1
	idSize     = 4
	headerSize = 1 + idSize
)

// ErrWrongKey says that a text was sealed with a master key that the Box does
// not have.
var ErrWrongKey = errors.New("sealed with another master key")

// errAltered is all that an opener may learn: GCM cannot tell the cases apart.
var errAltered = errors.New("altered, or copied from another row")

// Box seals and opens with the master key. It is safe for concurrent use and
// prints as dots.
type Box struct {
	current [idSize]byte
	ciphers map[[idSize]byte]cipher.AEAD
}

// NewBox returns a Box that seals with key and opens what was sealed with it
// or with one of older. A zero key is an error.
func NewBox(key Key, older ...Key) (*Box, error) {
	b := &Box{current: key.id(), ciphers: map[[idSize]byte]cipher.AEAD{}}
	for _, k := range append([]Key{key}, older...) {
		if k.IsZero() {
			return nil, errors.New("there is no master key")
		}
		block, err := aes.NewCipher(k.secret[:])
		if err != nil {
			return nil, fmt.Errorf("using the master key: %w", err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, fmt.Errorf("using the master key: %w", err)
		}
		b.ciphers[k.id()] = aead
	}
	return b, nil
}

// Seal encrypts plaintext so that only Open with the same context gives it
// back. Sealing the same text twice gives two different results.
func (b *Box) Seal(plaintext, context []byte) []byte {
	header := append([]byte{version}, b.current[:]...)
	return b.ciphers[b.current].Seal(header, nil, plaintext, bound(header, context))
}

// Open returns what was sealed under context. The error is [ErrWrongKey] when
// none of the Box's keys sealed it; any other error means that sealed was
// altered, cut, or sealed under another context.
func (b *Box) Open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < headerSize || sealed[0] != version {
		return nil, errors.New("not a sealed text")
	}
	header := sealed[:headerSize]
	aead, ok := b.ciphers[[idSize]byte(header[1:])]
	if !ok {
		return nil, ErrWrongKey
	}
	plaintext, err := aead.Open(nil, nil, sealed[headerSize:], bound(header, context))
	if err != nil {
		return nil, errAltered
	}
	return plaintext, nil
}

func bound(header, context []byte) []byte {
	out := make([]byte, 0, len(header)+len(context))
	return append(append(out, header...), context...)
}

var (
	canaryText    = "carillon"
	canaryContext = []byte("canary")
)

// Canary seals a fixed text, to be kept in the database and handed to
// [Box.CheckCanary] at each start.
func (b *Box) Canary() string {
	return base64.StdEncoding.EncodeToString(b.Seal([]byte(canaryText), canaryContext))
}

// CheckCanary returns nil when the Box has the master key that made canary,
// so that a wrong key is noticed at the start and not by the first send. The
// error wraps [ErrWrongKey] when the key is another one.
func (b *Box) CheckCanary(canary string) error {
	sealed, err := base64.StdEncoding.DecodeString(canary)
	if err != nil {
		return fmt.Errorf("reading the canary: %w", err)
	}
	text, err := b.Open(sealed, canaryContext)
	if err != nil {
		return fmt.Errorf("opening the canary, which tells whether this master key belongs to this database: %w", err)
	}
	if string(text) != canaryText {
		return errors.New("the canary holds another text")
	}
	return nil
}

// Format keeps every verb from printing the expanded key.
func (*Box) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, dots) }
