package delivery

import (
	"testing"
	"unicode/utf8"

	"carillon/model"
)

func TestPlain(t *testing.T) {
	t.Parallel()
	link := model.Block{Type: "BUTTON", Text: "Open", Link: "https://example.com/open"}
	for _, tt := range []struct {
		name string
		in   Message
		want string
	}{
		{"Nothing", Message{Title: "title"}, ""},
		{"Text", Message{Text: "text\n"}, "text"},
		{"All", Message{Text: "text", URL: "https://example.com", Blocks: []model.Block{link, {Type: "IMAGE"}}}, "text\n\nOpen: https://example.com/open\n\nhttps://example.com"},
		{"URLInText", Message{Text: "see https://example.com", URL: "https://example.com"}, "see https://example.com"},
		{"URLInBlock", Message{URL: link.Link, Blocks: []model.Block{link}}, "Open: https://example.com/open"},
		{"BlockWithoutText", Message{Blocks: []model.Block{{Link: "https://example.com"}}}, "https://example.com"},
	} {
		if got := tt.in.Plain(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	if got := OneLine(" a\r\nBcc: b\x00\tc  d\u2028e "); got != "a Bcc: b c d e" {
		t.Errorf("got %q", got)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for limit := range 12 {
		got := Cut("aé🎉b…", limit)
		if !utf8.ValidString(got) || limit >= 3 && len(got) > limit {
			t.Errorf("Cut at %d: %q", limit, got)
		}
	}
	if got := Cut("short", 5); got != "short" {
		t.Errorf("got %q", got)
	}
}
