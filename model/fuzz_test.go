package model_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"carillon/model"
)

// What is taken for an identifier is what every database, header and decoder
// gives back byte for byte.
func FuzzIdentifier(f *testing.F) {
	for _, s := range []string{"ada", "", " a", "a\x00", "a\xff", "\ufffd", "zoë", "a\u0301", "\u202eevil", "a/b?c#d", strings.Repeat("x", 256), "\ufdd0", "a\x85b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if model.CheckIdentifier(s) != "" {
			return
		}
		if s == "" || len(s) > model.MaxIdentifier || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\r\n\t\ufffd") || strings.TrimSpace(s) != s {
			t.Errorf("%q passes for an identifier", s)
		}
		raw, err := json.Marshal(s)
		var back string
		if err != nil || json.Unmarshal(raw, &back) != nil || back != s {
			t.Errorf("%q comes back from JSON as %q", s, back)
		}
		if unescaped, err := url.PathUnescape(url.PathEscape(s)); err != nil || unescaped != s {
			t.Errorf("%q comes back from a path as %q", s, unescaped)
		}
	})
}

// What passes the check can be decoded and kept, and has one canonical form.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"a":1,"a":2}`, `[1e400,-0,1.50]`, `"\ud800"`, `"\u0000"`, `"\\u0000"`, `{"\ud83d\ude00":[]}`, `[[[[[`, "\"\xff\"", `nul`, ` null `, `{"a":"<&>"}`, "\"\u2028\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if model.CheckJSON(raw, 1<<16, 16) != "" {
			return
		}
		once, err := model.CanonicalJSON(raw)
		if err != nil {
			t.Fatalf("%q passes and cannot be decoded: %v", raw, err)
		}
		twice, err := model.CanonicalJSON(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q has the canonical forms %q and %q, %v", raw, once, twice, err)
		}
		if model.CheckJSON(once, 1<<20, 16) != "" {
			t.Errorf("%q passes, its canonical form %q does not", raw, once)
		}
		if bytes.ContainsRune(once, 0) || bytes.Contains(once, []byte("\ufffd")) {
			t.Errorf("%q holds what databases refuse: %q", raw, once)
		}
	})
}

// What is kept of an attribute is kept again just so.
func FuzzAttribute(f *testing.F) {
	for _, name := range []string{"email", "phoneNumber", "firstName", "avatarUrl", "locale", "timeZone", "other"} {
		for _, value := range []string{`"Ada <ada@example.com>"`, `"ada@example.com"`, `"+15551234567"`, `"en-GB"`, `"Europe/Paris"`, `"https://example.com/a.png"`, `"javascript:alert(1)"`, `"a\r\nBcc: b@c"`, `"\"a b\"@x"`, `1`, `null`} {
			f.Add(name, []byte(value))
		}
	}
	f.Fuzz(func(t *testing.T, name string, raw []byte) {
		if model.CheckAttributeName(name) != "" || model.CheckJSON(raw, 1<<12, 8) != "" {
			return
		}
		kept, wrong := model.CheckAttribute(name, raw)
		if wrong != "" {
			return
		}
		if model.CheckJSON(kept, 1<<16, 8) != "" {
			t.Errorf("%s %q is kept as %q, which is no good JSON", name, raw, kept)
		}
		if again, wrong := model.CheckAttribute(name, kept); wrong != "" || !bytes.Equal(again, kept) {
			t.Errorf("%s %q is kept as %q, and that as %q (%s)", name, raw, kept, again, wrong)
		}
		var text string
		if name == model.AttrEmail && json.Unmarshal(kept, &text) == nil && strings.ContainsAny(text, "\r\n\x00<> ,;") {
			t.Errorf("the address %q could be more than one", text)
		}
	})
}

// Where a press leads is never a script or another host than it seems.
func FuzzLink(f *testing.F) {
	for _, s := range []string{"https://example.com/", "javascript:alert(1)", "java\tscript:alert(1)", "//evil.example", `/\evil.example`, "/orders/1", "mailto:a@b.c", "mailto:", "http://", "https:///x", "data:text/html,x", "HTTPS://EXAMPLE.COM", " https://a.b", "https://a.b\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if model.CheckLink(s) != "" {
			if model.CheckWebURL(s) == "" {
				t.Errorf("%q is a web address and no link", s)
			}
			return
		}
		lower := strings.ToLower(s)
		web := strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "mailto:")
		own := strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.HasPrefix(s, `/\`)
		if !web && !own || strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
			t.Errorf("%q passes for a link", s)
		}
	})
}
