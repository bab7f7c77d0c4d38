package model

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckEmail(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in, kept, wrong string
	}{
		{"ada@example.com", "ada@example.com", ""},
		{" ada@example.com ", "ada@example.com", ""},
		{"Ada Lovelace <ada@example.com>", "ada@example.com", ""},
		{`"Lovelace, Ada" <ada@example.com>`, "ada@example.com", ""},
		{"ada+tag@example.com", "ada+tag@example.com", ""},
		{"ADA@Example.COM", "ADA@Example.COM", ""},
		{"ада@пример.рф", "ада@пример.рф", ""},
		{"", "", "one e-mail address"},
		{"ada", "", "one e-mail address"},
		{"@example.com", "", "one e-mail address"},
		{"ada@", "", "one e-mail address"},
		{"a@x.org, b@x.org", "", "one e-mail address"},
		{"friends: a@x.org;", "a@x.org", ""},
		{`"a b"@x.org`, "", "plain"},
		{"a@[127.0.0.1]", "", "e-mail address"},
		{"a@x.org\x00", "", "control"},
		{"a@x.org\ufffd", "", "U+FFFD"},
		{strings.Repeat("a", 243) + "@example.com", "", "254"},
		{strings.Repeat("a", 600) + "@example.com", "", "254"},
	}
	for _, tt := range tests {
		kept, wrong := CheckEmail(tt.in)
		if (wrong == "") != (tt.wrong == "") || !strings.Contains(wrong, tt.wrong) || wrong == "" && kept != tt.kept {
			t.Errorf("CheckEmail(%q) = %q, %q; want %q, %q", tt.in, kept, wrong, tt.kept, tt.wrong)
		}
	}
}

func TestInitialAttributes(t *testing.T) {
	t.Parallel()
	for identifier, want := range map[string]string{
		"ada":                   `{}`,
		"ada@example.com":       `{"email":"ada@example.com"}`,
		"Ada <ada@example.com>": `{}`, // an identifier that only holds an address
		"a&b@example.com":       `{"email":"a&b@example.com"}`,
	} {
		if got := string(InitialAttributes(identifier)); got != want {
			t.Errorf("InitialAttributes(%q) = %s, want %s", identifier, got, want)
		}
	}
}

func TestCanonicalJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		` { "b" : 1.50 , "a" : [ ] } `:             `{"a":[],"b":1.50}`,
		`{"a":1,"a":2}`:                            `{"a":2}`,
		`9007199254740993`:                         `9007199254740993`,
		`-1E+400`:                                  `-1E+400`,
		`"\u003c\u00e9\ud83d\ude00\/"`:             `"<é😀/"`,
		`{"nested":{"z":[{"y":1,"x":null}],"":0}}`: `{"nested":{"":0,"z":[{"x":null,"y":1}]}}`,
	} {
		got, err := CanonicalJSON(json.RawMessage(in))
		if err != nil || string(got) != want {
			t.Errorf("CanonicalJSON(%s) = %s, %v; want %s", in, got, err, want)
		}
		if again, err := CanonicalJSON(got); err != nil || string(again) != want {
			t.Errorf("once more: %s, %v", again, err)
		}
	}
	if got, err := CanonicalJSON(json.RawMessage(`{`)); err == nil {
		t.Errorf("CanonicalJSON of half an object = %s", got)
	}
}

func TestCheckJSONText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"\u0041\\u0000\n"`:            "",
		`"\ud83d\ude00"`:               "",
		`"\\\ud83d\ude00"`:             "",
		`"\uffff\ufdd0"`:               "",
		`"\u0000"`:                     "U+0000",
		`{"\u0000":1}`:                 "U+0000",
		`["a",{"b":"\\\u0000"}]`:       "U+0000",
		`"\ufffd"`:                     "U+FFFD",
		`"\uFFFD"`:                     "U+FFFD",
		"\"\ufffd\"":                   "U+FFFD",
		`"\ud83d"`:                     "surrogate",
		`"\ud83dx"`:                    "surrogate",
		`"\ud83d\n\ude00"`:             "surrogate",
		`"\ud83d\u0041"`:               "surrogate",
		`"\ude00\ud83d"`:               "surrogate",
		`"\ud83d\ud83d\ude00"`:         "surrogate",
		`{"a":"\ud83d","b":"\ude00"}`:  "surrogate",
		`"\ud83d\\ude00"`:              "surrogate",
		`"` + "\xef\xbf\xbe" + `"`:     "", // U+FFFE, a noncharacter, survives
		`"` + "\xef\xbb\xbf" + ` bom"`: "",
	} {
		if got := CheckJSON(json.RawMessage(in), 1000, 10); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("CheckJSON(%s) = %q, want %q in it", in, got, want)
		}
	}
}

func TestEnvironmentUses(t *testing.T) {
	t.Parallel()
	var e Environment
	if !e.Uses(ChannelInApp) || e.Uses(ChannelEmail) || len(e.Channels()) != 1 || len(e.Channels())+len(e.Unused()) != len(Channels()) {
		t.Errorf("an environment uses %v and not %v; want the inbox and not the rest", e.Channels(), e.Unused())
	}
	e.Settings.ChannelsOff = []Channel{ChannelInApp}
	if e.Uses(ChannelInApp) || len(e.Channels()) != 0 {
		t.Errorf("with the inbox off it uses %v", e.Channels())
	}
}
