package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"carillon/model"
)

// FuzzContent holds the quick way of reading a content to the other one, for
// whatever stands in the database.
func FuzzContent(f *testing.F) {
	for _, c := range []model.Content{
		{},
		{Body: "plain", Icon: "https://example.com/i.png", URL: "/orders/1", Data: json.RawMessage(`{"a":{"b":["}",{}]},"c":"{"}`)},
		{Body: `quoted " and \ and <b> & é`, URL: "/?a=1&b=2"},
		{Data: json.RawMessage(`{"quoted":"\""}`)},
		{Blocks: []model.Block{{ID: "1", Type: "BUTTON", Text: "Go"}}},
	} {
		_, rest, err := encodeContent(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(rest)
	}
	for _, s := range []string{"", "{", `{"body"`, `{"body":`, `{"body":"a"`, `{"body":"a"}x`, `{"body":"a",}`, `{"url":"a","url":"b"}`, `{"data":{"a":1}`, `{"data":[1]}`, `{"data":{"a"}}`, `{ "body":"a"}`, `{"other":"a"}`, `{"body":"a"]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var quick, slow model.Content
		if !utf8.ValidString(s) || !readPlain(&quick, s) {
			return
		}
		if err := json.Unmarshal([]byte(s), &slow); err != nil {
			return // the database holds only what was encoded, and its data was checked
		}
		if !reflect.DeepEqual(quick, slow) {
			t.Errorf("%s is read as %+v, want %+v", s, quick, slow)
		}
	})
}
