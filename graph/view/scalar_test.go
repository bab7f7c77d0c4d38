package view

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"carillon/model"
)

func written(m graphql.Marshaler) string {
	var b strings.Builder
	m.MarshalGQL(&b)
	return b.String()
}

func TestDateTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-01-02T03:04:05Z":            `"2026-01-02T03:04:05Z"`,
		"2026-01-02T03:04:05.678Z":        `"2026-01-02T03:04:05.678Z"`,
		"2026-01-02T03:04:05.000001Z":     `"2026-01-02T03:04:05.000001Z"`,
		"2026-01-02T03:04:05.100000Z":     `"2026-01-02T03:04:05.1Z"`,
		"2026-01-02T03:04:05+02:00":       `"2026-01-02T01:04:05Z"`,
		"1970-01-01T00:00:00Z":            `"1970-01-01T00:00:00Z"`,
		"9999-12-31T23:59:59.999999Z":     `"9999-12-31T23:59:59.999999Z"`,
		"1969-12-31T23:59:59Z":            "",
		"1970-01-01T00:30:00+01:00":       "",
		"9999-12-31T23:59:59-01:00":       "",
		"2026-01-02T03:04:05.1234567Z":    "",
		"2026-01-02T03:04:05.Z":           "",
		"2026-01-02T03:04:05,5Z":          "",
		"2026-01-02T3:04:05Z":             "",
		"2026-01-02 03:04:05Z":            "",
		"2026-01-02t03:04:05z":            "",
		"2026-01-02T03:04:05":             "",
		"2026-01-02":                      "",
		"2026-02-30T03:04:05Z":            "",
		"2026-01-02T24:00:00Z":            "",
		"2026-01-02T03:04:05+0200":        "",
		"2026-01-02T03:04:05Z ":           "",
		"+2026-01-02T03:04:05Z":           "",
		"":                                "",
		"2026-01-02T03:04:05.6780000000Z": "",
	} {
		got, err := UnmarshalDateTime(in)
		switch {
		case want == "" && err == nil:
			t.Errorf("UnmarshalDateTime(%q) = %v, want an error", in, got)
		case want == "" && !strings.Contains(err.Error(), "must be a time"):
			t.Errorf("UnmarshalDateTime(%q): the error %q does not say what was expected", in, err)
		case want != "" && err != nil:
			t.Errorf("UnmarshalDateTime(%q): %v", in, err)
		case want != "" && written(MarshalDateTime(got)) != want:
			t.Errorf("%q is written again as %s, want %s", in, written(MarshalDateTime(got)), want)
		}
	}
	if got := written(MarshalDateTime(time.Time{})); got != "null" {
		t.Errorf("no time is written as %s, want null", got)
	}
}

func TestIntIsThirtyTwoBits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   any
		want int32
		ok   bool
	}{
		{int64(0), 0, true},
		{86400, 86400, true},
		{json.Number("2147483647"), 2147483647, true},
		{int64(-2147483648), -2147483648, true},
		{int64(2147483648), 0, false},
		{json.Number("2147483648"), 0, false},
		{json.Number("99999999999999999999"), 0, false},
		{json.Number("1.5"), 0, false},
		{"5", 0, false},
		{1.0, 0, false},
		{true, 0, false},
		{nil, 0, false},
	} {
		got, err := UnmarshalInt(tt.in)
		if (err == nil) != tt.ok || got != tt.want {
			t.Errorf("UnmarshalInt(%#v) = %d, %v; want %d, ok=%t", tt.in, got, err, tt.want, tt.ok)
		}
	}
	if got := written(MarshalCount(1 << 40)); got != "2147483647" {
		t.Errorf("a count beyond 32 bits is written as %s", got)
	}
}

func TestLeavesOfAnotherTypeAreRefused(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"String from number":        second(UnmarshalString(json.Number("5"))),
		"String from boolean":       second(UnmarshalString(true)),
		"Boolean from text":         second(UnmarshalBoolean("true")),
		"Boolean from number":       second(UnmarshalBoolean(json.Number("1"))),
		"ID from boolean":           second(UnmarshalID(true)),
		"Channel in lower case":     second(UnmarshalChannel("in_app")),
		"MarkState in lower case":   second(UnmarshalMarkState("read")),
		"CredentialKind as stored":  second(UnmarshalCredentialKind("secret_key")),
		"TokenAlgorithm as in JOSE": second(UnmarshalTokenAlgorithm("EdDSA")),
		"BlockType unknown":         second(UnmarshalBlockType("MARQUEE")),
	} {
		if model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: error %v, want a KindInvalid", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestEnumsAreWrittenAsTheSchemaHasThem(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]graphql.Marshaler{
		`"IN_APP"`:       MarshalChannel(model.ChannelInApp),
		`"SECRET_KEY"`:   MarshalCredentialKind(model.CredentialSecretKey),
		`"EDDSA"`:        MarshalTokenAlgorithm(model.EdDSA),
		`"TEST"`:         MarshalEnvironment(model.EnvTest),
		`"USER_UNKNOWN"`: MarshalReasonCode(model.ReasonUserUnknown),
		`"DEFAULT"`:      MarshalBlockVariant(""),
		"null":           MarshalResetReason(""),
	} {
		if got := written(m); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzDateTime holds UnmarshalDateTime to two promises: it never panics, and
// what it accepts is the same instant when it is written and read again.
func FuzzDateTime(f *testing.F) {
	for _, s := range []string{"2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05+23:59", "9999-12-31T23:59:59.999999Z", "0000-00-00T00:00:00Z", "2026-01-02T03:04:05.", "T::", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := UnmarshalDateTime(s)
		if err != nil {
			return
		}
		text := written(MarshalDateTime(at))
		again, err := UnmarshalDateTime(strings.Trim(text, `"`))
		if err != nil || !again.Equal(at) {
			t.Errorf("%q is %v, which is written %s and read as %v (%v)", s, at, text, again, err)
		}
	})
}
