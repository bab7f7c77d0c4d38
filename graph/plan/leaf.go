package plan

import (
	"math"
	"strconv"
	"time"
)

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// appendCount writes a number that is counted in 64 bits as the 32 bits that
// GraphQL has.
func appendCount(b []byte, n int64) []byte { return appendInt(b, min(n, math.MaxInt32)) }

func appendBool(b []byte, v bool) []byte { return strconv.AppendBool(b, v) }

// appendOptional writes text; none is null.
func appendOptional(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return appendText(b, s)
}

const hex = "0123456789ABCDEF"

// appendText writes text as JSON, in the form of the generated executor.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(b, s[done:]...), '"')
}

// appendTime writes an instant as RFC 3339 in UTC with as many decimals, up to
// six, as there are; the zero time is null.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	b = append(b, '"')
	b = pad(b, year, 4)
	b = pad(append(b, '-'), int(month), 2)
	b = pad(append(b, '-'), day, 2)
	b = pad(append(b, 'T'), hour, 2)
	b = pad(append(b, ':'), minute, 2)
	b = pad(append(b, ':'), second, 2)
	if micros := t.Nanosecond() / 1000; micros > 0 {
		b = pad(append(b, '.'), micros, 6)
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return append(b, 'Z', '"')
}

// pad writes a number with at least so many digits.
func pad(b []byte, n, digits int) []byte {
	var room [20]byte
	at := len(room)
	for ; n > 0 || digits > 0; digits-- {
		at--
		room[at] = byte('0' + n%10)
		n /= 10
	}
	return append(b, room[at:]...)
}
