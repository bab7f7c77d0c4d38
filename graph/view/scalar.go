package view

import (
	"encoding/json"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"carillon/model"
)

// Every leaf of the schema is read here and strictly: gqlgen's own readers
// take a number for text, text for a number, and any spelling of an enum.

// invalid is the error of a leaf; its text completes a sentence that begins
// with the argument.
func invalid(format string, args ...any) error {
	return model.Errorf(model.KindInvalid, format, args...)
}

// MarshalString writes text.
func MarshalString(s string) graphql.Marshaler { return graphql.MarshalString(s) }

// UnmarshalString reads text.
func UnmarshalString(v any) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", invalid("must be text")
	}
	return s, nil
}

// MarshalBoolean writes true or false.
func MarshalBoolean(b bool) graphql.Marshaler { return graphql.MarshalBoolean(b) }

// UnmarshalBoolean reads true or false.
func UnmarshalBoolean(v any) (bool, error) {
	b, ok := v.(bool)
	if !ok {
		return false, invalid("must be true or false")
	}
	return b, nil
}

// MarshalID writes an opaque id.
func MarshalID(s string) graphql.Marshaler { return graphql.MarshalString(s) }

// UnmarshalID reads an opaque id. The specification admits integers; they name
// nothing here and are read as their text.
func UnmarshalID(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	default:
		return "", invalid("must be an id, which is text")
	}
}

// MarshalInt writes an integer.
func MarshalInt(n int32) graphql.Marshaler { return integer(int64(n)) }

// UnmarshalInt reads an integer of 32 bits.
func UnmarshalInt(v any) (int32, error) {
	var n int64
	switch v := v.(type) {
	case int64: // from the document
		n = v
	case int: // a default that gqlgen has put in
		n = int64(v)
	case json.Number: // from a variable
		var err error
		if n, err = strconv.ParseInt(v.String(), 10, 64); err != nil {
			n = math.MaxInt64
		}
	default:
		return 0, invalid("must be an integer")
	}
	if n != int64(int32(n)) {
		return 0, invalid("must be an integer between -2147483648 and 2147483647")
	}
	return int32(n), nil
}

// MarshalCount writes a number that is counted in 64 bits as the 32 bits that
// GraphQL has; one that grew beyond them stays at the largest.
func MarshalCount(n int64) graphql.Marshaler { return integer(min(n, math.MaxInt32)) }

// UnmarshalCount reads an integer of 32 bits.
func UnmarshalCount(v any) (int64, error) {
	n, err := UnmarshalInt(v)
	return int64(n), err
}

func integer(n int64) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		var buf [20]byte
		_, _ = w.Write(strconv.AppendInt(buf[:0], n, 10))
	})
}

// MarshalFloat writes a number.
func MarshalFloat(n float64) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		var buf [32]byte
		_, _ = w.Write(strconv.AppendFloat(buf[:0], n, 'g', -1, 64))
	})
}

// UnmarshalFloat reads a number that a double can hold.
func UnmarshalFloat(v any) (float64, error) {
	var text string
	switch v := v.(type) {
	case float64: // from the document
		return v, nil
	case int64:
		return float64(v), nil
	case json.Number: // from a variable
		text = v.String()
	default:
		return 0, invalid("must be a number")
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, invalid("must be a number that a double can hold")
	}
	return n, nil
}

// timeForm is RFC 3339 in UTC with as many decimals as there are.
const timeForm = "2006-01-02T15:04:05.999999Z"

// MarshalDateTime writes an instant; the zero time is null.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) {
		var buf [40]byte
		_, _ = w.Write(t.UTC().AppendFormat(buf[:0], `"`+timeForm+`"`))
	})
}

// UnmarshalDateTime reads an instant: RFC 3339 with at most microseconds,
// between 1970 and 9999. An offset is taken for what it says.
func UnmarshalDateTime(v any) (time.Time, error) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, invalid("must be a time as RFC 3339 text, such as 2026-01-02T03:04:05.678Z")
	}
	t, ok := parseTime(s)
	if !ok {
		return time.Time{}, invalid("must be a time as RFC 3339 with at most microseconds, such as 2026-01-02T03:04:05.678Z")
	}
	if t.Before(time.Unix(0, 0)) || t.Year() > 9999 {
		return time.Time{}, invalid("must be a time between the years 1970 and 9999")
	}
	return t, nil
}

// parseTime is stricter than time.Parse, which takes one digit for an hour, a
// comma for a point, and any number of decimals.
func parseTime(s string) (time.Time, bool) {
	const whole = len("2006-01-02T15:04:05")
	if len(s) <= whole || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	zone := whole
	if s[zone] == '.' {
		for zone++; zone < len(s) && s[zone] >= '0' && s[zone] <= '9'; zone++ {
		}
		if digits := zone - whole - 1; digits < 1 || digits > 6 {
			return time.Time{}, false
		}
	}
	if rest := s[zone:]; rest != "Z" && len(rest) != len("+00:00") {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, s)
	return t.UTC(), err == nil
}
