package model

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var sendNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func goodSend() SendRequest {
	return SendRequest{To: SendTarget{Users: []string{"ada"}}, Content: Content{Title: "Hello"}}
}

// namedUser wants an identifier of inline users.
func namedUser(in IdentifyInput) []Problem {
	if in.Identifier == "" {
		return []Problem{{ProblemRequired, []string{"identifier"}, "must not be empty"}}
	}
	return nil
}

// problemsOf lists the problems of err as "CODE path".
func problemsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != KindInvalid {
		t.Fatalf("got %v, want a %s error", err, KindInvalid)
	}
	var out []string
	for _, p := range e.Problems {
		if p.Message == "" {
			t.Errorf("problem at %s says nothing", p.Field())
		}
		out = append(out, string(p.Code)+" "+p.Field())
	}
	return out
}

func TestSendRequestRefusals(t *testing.T) {
	t.Parallel()
	names := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = "user-" + strconv.Itoa(i)
		}
		return out
	}
	deep := json.RawMessage(strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65))
	tests := []struct {
		name   string
		change func(*SendRequest)
		want   []string
	}{
		{"Good", func(*SendRequest) {}, nil},
		{"NoTitle", func(r *SendRequest) { r.Content.Title = "" }, []string{"REQUIRED title"}},
		{"BlankTitle", func(r *SendRequest) { r.Content.Title = " \n" }, []string{"REQUIRED title"}},
		{"LongestTitle", func(r *SendRequest) { r.Content.Title = strings.Repeat("x", 1024) }, nil},
		{"LongTitle", func(r *SendRequest) { r.Content.Title = strings.Repeat("x", 1025) }, []string{"INVALID title"}},
		{"BrokenTitle", func(r *SendRequest) { r.Content.Title = "a\xff" }, []string{"INVALID title"}},
		{"LongBody", func(r *SendRequest) { r.Content.Body = strings.Repeat("x", 64<<10+1) }, []string{"INVALID body"}},
		{"NulInBody", func(r *SendRequest) { r.Content.Body = "a\x00b" }, []string{"INVALID body"}},
		{"IconByPath", func(r *SendRequest) { r.Content.Icon = "/i.png" }, []string{"INVALID icon"}},
		{"ScriptURL", func(r *SendRequest) { r.Content.URL = "javascript:alert(1)" }, []string{"INVALID url"}},
		{"DataIsList", func(r *SendRequest) { r.Content.Data = json.RawMessage("[]") }, []string{"INVALID data"}},
		{"LargestData", func(r *SendRequest) {
			r.Content.Data = json.RawMessage(`{"a":"` + strings.Repeat("x", 64<<10-8) + `"}`)
		}, nil},
		{"LargeData", func(r *SendRequest) {
			r.Content.Data = json.RawMessage(`{"a":"` + strings.Repeat("x", 64<<10-7) + `"}`)
		}, []string{"INVALID data"}},
		{"DeepData", func(r *SendRequest) { r.Content.Data = deep }, []string{"INVALID data"}},
		{"BadCategory", func(r *SendRequest) { r.Category = " x" }, []string{"INVALID category"}},
		{"NoChannels", func(r *SendRequest) { r.Channels = []Channel{} }, []string{"REQUIRED channels"}},
		{"BadChannel", func(r *SendRequest) { r.Channels = []Channel{ChannelEmail, 99} }, []string{"INVALID channels.1"}},
		{"BadPolicy", func(r *SendRequest) { r.OnUnknown = "MAYBE" }, []string{"INVALID onUnknown"}},
		{"BadKey", func(r *SendRequest) { r.Once.Key = strings.Repeat("k", 256) }, []string{"INVALID idempotencyKey"}},
		{"BadKeyOfDryRun", func(r *SendRequest) { r.Once.Key, r.DryRun = " ", true }, nil},
		{"Nobody", func(r *SendRequest) { r.To = SendTarget{} }, []string{"REQUIRED to"}},
		{"AThousand", func(r *SendRequest) { r.To.Users = names(1000) }, nil},
		{"AThousandAndOne", func(r *SendRequest) { r.To.Users = names(1001) }, []string{"LIMIT_EXCEEDED to"}},
		{"ManyInlineCountToo", func(r *SendRequest) {
			r.To.Users, r.To.Inline = names(999), []IdentifyInput{{Identifier: "a"}, {Identifier: "b"}}
		}, []string{"LIMIT_EXCEEDED to"}},
		{"BadIdentifiers", func(r *SendRequest) {
			r.To.Users, r.To.Inline = []string{"a", "b", "c", "d\x00"}, []IdentifyInput{{Identifier: "ok"}, {Identifier: ""}}
		}, []string{"INVALID to.users.3", "REQUIRED to.inlineUsers.1.identifier"}},
		{"Topic", func(r *SendRequest) { r.To = SendTarget{Topics: []string{"news"}} }, nil},
		{"Everyone", func(r *SendRequest) { r.To = SendTarget{Everyone: true} }, nil},
		{"TopicName", func(r *SendRequest) { r.To.Topics = []string{"news", " "} }, []string{"INVALID to.topics.1"}},
		{"Topics", func(r *SendRequest) { r.To = SendTarget{Topics: slices.Repeat([]string{"news"}, MaxSendTopics+1)} }, []string{"LIMIT_EXCEEDED to.topics"}},
		{"FarthestSendAt", func(r *SendRequest) { r.SendAt = sendNow.Add(366 * 24 * time.Hour) }, nil},
		{"FarSendAt", func(r *SendRequest) { r.SendAt = sendNow.Add(366*24*time.Hour + time.Second) }, []string{"INVALID sendAt"}},
		{"ExpiresNow", func(r *SendRequest) { r.ExpiresAt = sendNow }, []string{"INVALID expiresAt"}},
		{"ExpiresBeforeItIsSent", func(r *SendRequest) {
			r.SendAt, r.ExpiresAt = sendNow.Add(time.Hour), sendNow.Add(time.Minute)
		}, []string{"INVALID expiresAt"}},
		{"ManyBlocks", func(r *SendRequest) { r.Content.Blocks = make([]Block, 21) }, []string{"LIMIT_EXCEEDED blocks"}},
		{"SameBlockID", func(r *SendRequest) {
			r.Content.Blocks = []Block{{ID: "2", Type: "BUTTON"}, {Type: "BUTTON"}}
		}, []string{"INVALID blocks.1.id"}},
		{"BadBlock", func(r *SendRequest) {
			r.Content.Blocks = []Block{{Type: "MARQUEE", Variant: "LOUD", Link: "ftp://x", Src: "data:image/png,x", Text: strings.Repeat("x", 1025)}}
		}, []string{"INVALID blocks.0.type", "INVALID blocks.0.variant", "INVALID blocks.0.text", "INVALID blocks.0.link", "INVALID blocks.0.src"}},
		{"AllAtOnce", func(r *SendRequest) { *r = SendRequest{Category: "\n"} }, []string{"REQUIRED to", "REQUIRED title", "INVALID category"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := goodSend()
			tt.change(&r)
			_, err := r.Checked(sendNow, namedUser)
			if got := problemsOf(t, err); !slices.Equal(got, tt.want) {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSendRequestIsCompleted(t *testing.T) {
	t.Parallel()
	r := goodSend()
	r.Content.Blocks = []Block{{Type: "BUTTON"}, {ID: "b", Type: "IMAGE", Variant: "PRIMARY"}}
	r.Channels = []Channel{ChannelEmail, ChannelInApp, ChannelEmail}
	r.SendAt = sendNow
	got, err := r.Checked(sendNow, namedUser)
	if err != nil {
		t.Fatal(err)
	}
	if b := got.Content.Blocks; b[0].ID != "1" || b[0].Variant != "DEFAULT" || b[1].ID != "b" || b[1].Variant != "PRIMARY" {
		t.Errorf("blocks %+v", b)
	}
	if r.Content.Blocks[0].ID != "" {
		t.Error("the caller's blocks were written to")
	}
	if !slices.Equal(got.Channels, []Channel{ChannelInApp, ChannelEmail}) {
		t.Errorf("channels %v", got.Channels)
	}
	if !got.SendAt.IsZero() || got.OnUnknown != UnknownSkip {
		t.Errorf("sendAt %v, onUnknown %q; want now and SKIP", got.SendAt, got.OnUnknown)
	}
}

func TestCheckLink(t *testing.T) {
	t.Parallel()
	good := []string{
		"https://example.com", "HTTP://example.com/a?b#c", "https://[::1]:8080/x", "mailto:ada@example.com", "/orders/1?x=%20", "/",
		"https://example.com/" + strings.Repeat("x", MaxURL-len("https://example.com/")),
	}
	bad := []string{
		"javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "java\nscript:x", " javascript:alert(1)", "\x01javascript:x", "data:text/html,x",
		"vbscript:x", "file:///etc/passwd", "//evil.example", `/\evil.example`, "https:", "https://", "http:example.com", "http:///x", "https://:80/", "mailto:",
		"example.com", "#x", "?x", "ftp://example.com", "https://exa mple.com", "https://example.com/\r\nx", "/a\tb", "https://example.com/%zz", "https://a\xff",
		"https://example.com/" + strings.Repeat("x", MaxURL),
	}
	for _, s := range good {
		if m := CheckLink(s); m != "" {
			t.Errorf("CheckLink(%q) = %q, want it to pass", s, m)
		}
	}
	for _, s := range bad {
		if m := CheckLink(s); m == "" {
			t.Errorf("CheckLink(%q) passed", s)
		}
		if m := CheckWebURL(s); m == "" {
			t.Errorf("CheckWebURL(%q) passed", s)
		}
	}
	for _, s := range []string{"/i.png", "mailto:a@b.example"} {
		if m := CheckWebURL(s); m == "" {
			t.Errorf("CheckWebURL(%q) passed", s)
		}
	}
}
