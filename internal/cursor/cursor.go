// Package cursor writes the opaque texts that clients hand back: positions of
// inboxes and streams, and places in lists. It owns their form and nothing else: what a
// position means, and whose it is, is for package inbox.
//
// The form is binary with a byte of its own in front, in base64url without
// padding. Each text has one meaning and each meaning one text: what Decode
// accepts is exactly what Encode writes. The texts are not signed, since they
// open nothing: a forged one names a place that its caller may see anyway.
package cursor

import (
	"encoding/base64"
	"encoding/binary"
	"time"
	"unicode/utf8"

	"carillon/model"
)

// The first byte of a cursor; a changed form takes a new number.
const (
	positionForm = 1
	pageForm     = 2
	momentForm   = 3
)

const (
	positionSize = 1 + 3*8
	pageSize     = 2 + 2*8 // and the text
	momentSize   = 1 + 8
)

// coding refuses what it would not have written: padding, other alphabets, and
// bits behind the last byte.
var coding = base64.RawURLEncoding.Strict()

var (
	errPosition = model.Errorf(model.KindInvalid, "must be a position that the server gave out")
	errMoment   = model.Errorf(model.KindInvalid, "must be a position that a stream of deliveries gave out")
	errPage     = model.Errorf(model.KindInvalid, "must be a cursor that this list gave out")
)

// EncodePosition writes a position: version, epoch, user and seq.
func EncodePosition(p model.Position) string {
	var b [positionSize]byte
	b[0] = positionForm
	binary.BigEndian.PutUint64(b[1:], p.Epoch)
	binary.BigEndian.PutUint64(b[9:], uint64(p.User))
	binary.BigEndian.PutUint64(b[17:], uint64(p.Seq))
	return coding.EncodeToString(b[:])
}

// DecodePosition is the inverse of EncodePosition. Any other text is a
// KindInvalid error whose message completes a sentence that begins with the
// field.
func DecodePosition(s string) (model.Position, error) {
	b, ok := decode(s, positionSize)
	if !ok || len(b) != positionSize || b[0] != positionForm {
		return model.Position{}, errPosition
	}
	user, seq := binary.BigEndian.Uint64(b[9:]), binary.BigEndian.Uint64(b[17:])
	if user > model.MaxID || seq > model.MaxID {
		return model.Position{}, errPosition
	}
	return model.Position{Epoch: binary.BigEndian.Uint64(b[1:]), User: model.UserID(user), Seq: int64(seq)}, nil
}

// EncodePage writes a place in the list that kind stands for. The key's text
// has at most model.MaxIdentifier bytes.
func EncodePage(kind byte, key model.PageKey) string {
	var room [pageSize + 32]byte
	b := append(room[:0], pageForm, kind)
	b = binary.BigEndian.AppendUint64(b, uint64(key.At.UnixMicro()))
	b = binary.BigEndian.AppendUint64(b, uint64(key.ID))
	b = append(b, key.Text...)
	return coding.EncodeToString(b)
}

// DecodePage is the inverse of EncodePage for the same kind. Any other text is
// a KindInvalid error whose message completes a sentence that begins with the
// field.
func DecodePage(kind byte, s string) (model.PageKey, error) {
	b, ok := decode(s, pageSize+model.MaxIdentifier)
	if !ok || len(b) < pageSize || b[0] != pageForm || b[1] != kind {
		return model.PageKey{}, errPage
	}
	at, id, text := int64(binary.BigEndian.Uint64(b[2:])), binary.BigEndian.Uint64(b[10:]), string(b[pageSize:])
	if at < noTime || id > model.MaxID || !utf8.ValidString(text) {
		return model.PageKey{}, errPage
	}
	return model.PageKey{At: time.UnixMicro(at).UTC(), ID: int64(id), Text: text}, nil
}

// EncodeMoment writes where a stream of deliveries stands, which is a time not
// before 1970, to the microsecond.
func EncodeMoment(at time.Time) string {
	b := binary.BigEndian.AppendUint64([]byte{momentForm}, uint64(at.UnixMicro()))
	return coding.EncodeToString(b)
}

// DecodeMoment is the inverse of EncodeMoment. Any other text is a KindInvalid
// error whose message completes a sentence that begins with the field.
func DecodeMoment(s string) (time.Time, error) {
	b, ok := decode(s, momentSize)
	if !ok || len(b) != momentSize || b[0] != momentForm {
		return time.Time{}, errMoment
	}
	at := binary.BigEndian.Uint64(b[1:])
	if at > model.MaxID {
		return time.Time{}, errMoment
	}
	return time.UnixMicro(int64(at)).UTC(), nil
}

// noTime is how the zero time is written; nothing is earlier.
var noTime = time.Time{}.UnixMicro()

// decode gives the bytes of s; false when there are more than max of them, or
// it is not the text of any.
func decode(s string, max int) ([]byte, bool) {
	if len(s) > coding.EncodedLen(max) {
		return nil, false
	}
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\r' { // the one thing that Strict lets pass
			return nil, false
		}
	}
	b, err := coding.DecodeString(s)
	return b, err == nil
}
