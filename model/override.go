package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Limits of overrides.
const (
	MaxSendOverrides = 20       // of one send
	MaxHeaders       = 20       // of one override
	MaxHeader        = 900      // bytes of a header's value
	MaxOverrides     = 64 << 10 // bytes of all of a send as JSON
	maxKindName      = 64
)

// Override is what a send says otherwise on a channel, or through a kind of
// provider. At least one of the two is named. What is empty stays as it was.
type Override struct {
	Channel Channel `json:"channel,omitzero"` // zero: every channel that the provider serves
	// Provider is the name of a kind of provider; empty: all of the channel.
	// One that this server does not have changes nothing.
	Provider string `json:"provider,omitempty"`

	Title   string            `json:"title,omitempty"`
	Body    string            `json:"body,omitempty"`
	HTML    string            `json:"html,omitempty"` // e-mail only
	URL     string            `json:"url,omitempty"`
	Icon    string            `json:"icon,omitempty"`
	Headers map[string]string `json:"headers,omitempty"` // by name in canonical form
	// Merge is an object whose members are merged into the one that is sent to
	// the provider; nil: nothing.
	Merge json.RawMessage `json:"merge,omitempty"`
}

// Meant reports whether the override is for a channel and a kind of provider.
func (o Override) Meant(c Channel, kind string) bool {
	return (o.Channel == 0 || o.Channel == c) && (o.Provider == "" || o.Provider == kind)
}

func checkOverrides(list []Override, c *Check) {
	if len(list) > MaxSendOverrides {
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d entries, has %d", MaxSendOverrides, len(list)), "overrides")
		return
	}
	size := 0
	for i, o := range list {
		at := c.At("overrides", strconv.Itoa(i))
		o.check(at)
		size += len(o.Title) + len(o.Body) + len(o.HTML) + len(o.Merge)
	}
	if size > MaxOverrides {
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d bytes together, have %d", MaxOverrides, size), "overrides")
	}
}

func (o Override) check(c *Check) {
	c.That(o.Channel != 0 || o.Provider != "", "must be there where no provider is named", "channel")
	c.That(o.Channel == 0 || o.Channel.Valid() && o.Channel != ChannelInApp, "must be a channel other than IN_APP", "channel")
	c.That(o.Provider == "" || len(o.Provider) <= maxKindName && CheckIdentifier(o.Provider) == "", "must be the name of a kind of provider, such as fcm", "provider")
	for _, f := range []struct {
		name, value string
		check       func(string) string
	}{
		{"title", o.Title, func(s string) string { return CheckText(s, MaxTitle) }},
		{"body", o.Body, func(s string) string { return CheckText(s, MaxBody) }},
		{"html", o.HTML, func(s string) string { return CheckText(s, MaxOverrides) }},
		{"url", o.URL, CheckLink},
		{"icon", o.Icon, CheckWebURL},
	} {
		if f.value == "" {
			continue
		}
		if m := f.check(f.value); m != "" {
			c.Add(ProblemInvalid, m, f.name)
		}
	}
	c.That(o.HTML == "" || o.Channel == ChannelEmail, "is for EMAIL only", "html")
	o.checkHeaders(c)
	if o.Merge != nil {
		if m := CheckJSONObject(o.Merge, MaxOverrides, MaxDataDepth); m != "" {
			c.Add(ProblemInvalid, m, "merge")
		}
	}
}

func (o Override) checkHeaders(c *Check) {
	if len(o.Headers) > 0 {
		c.That(o.Channel == ChannelEmail || o.Channel == ChannelWebhook, "are for EMAIL and WEBHOOK only", "headers")
	}
	c.That(len(o.Headers) <= MaxHeaders, fmt.Sprintf("must be at most %d, are %d", MaxHeaders, len(o.Headers)), "headers")
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		if m := CheckHeader(name, o.Headers[name]); m != "" {
			c.Add(ProblemInvalid, m, "headers")
		}
	}
}

// HeaderReplyTo names whom an answer to a mail goes to.
const HeaderReplyTo = "Reply-To"

// freeHeaders are those that a send may set besides those that begin with X-, and
// besides HeaderReplyTo.
var freeHeaders = []string{"Feedback-Id", "Importance", "In-Reply-To", "List-Id", "Precedence", "Priority", "References", "Thread-Topic"}

// CheckHeader says what is wrong with a header that a send sets, or returns "".
// The name is in canonical form.
func CheckHeader(name, value string) string {
	if name == HeaderReplyTo {
		if address, wrong := CheckEmail(value); wrong != "" || address != value {
			return name + " must be one e-mail address, such as ada@example.com"
		}
		return ""
	}
	switch {
	case !strings.HasPrefix(name, "X-") && !slices.Contains(freeHeaders, name), strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") != "", len(name) > 100:
		return fmt.Sprintf("cannot set %q; a send may set X-…, %s and %s", name, strings.Join(freeHeaders, ", "), HeaderReplyTo)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "must have no line breaks or other control characters, " + name + " has"
	case CheckText(value, MaxHeader) != "":
		return name + " " + CheckText(value, MaxHeader)
	}
	return ""
}
