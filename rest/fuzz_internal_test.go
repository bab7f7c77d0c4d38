package rest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"carillon/model"
)

// A body is JSON that can be kept, of whatever it was made, or refused in
// words; taking it apart ends well in any case.
func FuzzBody(f *testing.F) {
	for _, c := range []struct{ kind, body string }{
		{"application/json", `{"a":1,"id":"12","ok":"true","list":[]}`},
		{"application/json; charset=utf-16", `{}`},
		{"application/x-www-form-urlencoded", "a=1&a=2&b=%00"},
		{"application/x-www-form-urlencoded", "a=%ff&=&%zz"},
		{"", "null"},
		{"text/plain", "x"},
		{"application/merge-patch+json", `{"a":"\ud800"}`},
		{"application/json", "["},
	} {
		f.Add(c.kind, []byte(c.body))
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		raw, err := BodyOrForm(r, 1<<16)
		if err != nil || raw == nil {
			return
		}
		if m := model.CheckJSON(raw, 1<<20, model.MaxDataDepth+1); m != "" {
			t.Fatalf("%s %q is taken as %q, which %s", kind, body, raw, m)
		}
		var check model.Check
		m := Object(raw, &check)
		for _, name := range m.Names() {
			m.Text(name)
			m.Bool(name)
			if id := m.ID(name); id < 0 || id > model.MaxID {
				t.Errorf("%q has the id %d", m.Raw(name), id)
			}
			m.Object(name)
		}
	})
}

// Each segment of a path is decoded once, and never into two.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/v3/users/ada", "/v3//users/a%2Fb", "/v3/users/%00", "/%", "/a%25b", "/../x", "/%2e%2e/x", "/a;b", "/\xff"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		segments, err := decodePath(u)
		if err != nil {
			return
		}
		var escaped []string
		for _, s := range segments {
			if s == "" {
				t.Errorf("%q has an empty segment", path)
			}
			escaped = append(escaped, url.PathEscape(s))
		}
		again, err := decodePath(&url.URL{Path: strings.Join(segments, "/"), RawPath: strings.Join(escaped, "/")})
		if err != nil || len(again) != len(segments) && utf8.ValidString(path) {
			t.Errorf("%q is %q, and that %q, %v", path, segments, again, err)
		}
	})
}

// An id is written in one way only.
func FuzzParseID(f *testing.F) {
	for _, s := range []string{"1", "0", "01", "+1", "-1", "9007199254740991", "9223372036854775808", "1e3", " 1", "١"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := ParseID(s)
		if !ok {
			return
		}
		if raw, err := json.Marshal(id); err != nil || string(raw) != s || id < 1 || id > model.MaxID {
			t.Errorf("%q passes for the id %d", s, id)
		}
	})
}
