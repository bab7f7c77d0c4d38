package model

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// blockTypes is what a block can be.
var blockTypes = []string{"BUTTON", "IMAGE", "INPUT", "TEXTAREA", "RATING_STAR", "TYPOGRAPHY", "BOX", "CARD", "BLUE_DOT"}

var blockVariants = []string{"DEFAULT", "PRIMARY", "SECONDARY"}

// Checked returns the request as it is to be worked on (blocks named, channels
// once each, times in the past left out), or a KindInvalid error with every
// problem that can be seen without the database. identify lists what is wrong
// with a user that comes with the send. r is not written to.
func (r SendRequest) Checked(now time.Time, identify func(IdentifyInput) []Problem) (SendRequest, error) {
	var c Check
	r.To.check(c.At("to"), identify)
	r.Content.Blocks = completeBlocks(r.Content.Blocks)
	r.Content.check(&c)
	checkAttachments(r.Attachments, &c)
	if m := CheckIdentifier(r.Category); m != "" && r.Category != "" {
		c.Add(ProblemInvalid, m, "category")
	}
	r.Channels = r.checkChannels(&c)
	r.checkTimes(&c, now)
	switch r.OnUnknown {
	case "":
		r.OnUnknown = UnknownSkip
	case UnknownSkip, UnknownReject, UnknownCreate:
	default:
		c.Add(ProblemInvalid, "must be SKIP, REJECT or CREATE", "onUnknown")
	}
	r.Options.check(&c)
	r.Options.checkDedupe(&c)
	if m := CheckIdentifier(r.Once.Key); m != "" && r.Once.Set() && !r.DryRun {
		c.Add(ProblemInvalid, m, "idempotencyKey")
	}
	return r, c.Err()
}

func (t SendTarget) check(c *Check, identify func(IdentifyInput) []Problem) {
	named := len(t.Users) + len(t.Inline)
	if named > MaxRecipients {
		c.Add(ProblemLimit, fmt.Sprintf("must name at most %d recipients, names %d", MaxRecipients, named))
		return
	}
	if named+len(t.Topics)+len(t.Segments) == 0 && !t.Everyone {
		c.Add(ProblemRequired, "must name at least one recipient: users, topics, segments or everyone")
	}
	for i, id := range t.Users {
		if m := CheckIdentifier(id); m != "" {
			c.Add(ProblemInvalid, m, "users", strconv.Itoa(i))
		}
	}
	for i, u := range t.Inline {
		for _, p := range identify(u) {
			c.Add(p.Code, p.Message, append([]string{"inlineUsers", strconv.Itoa(i)}, p.Path...)...)
		}
	}
	if len(t.Topics) > MaxSendTopics {
		c.Add(ProblemLimit, fmt.Sprintf("must name at most %d topics, names %d", MaxSendTopics, len(t.Topics)), "topics")
		return
	}
	for i, id := range t.Topics {
		if m := CheckIdentifier(id); m != "" {
			c.Add(ProblemInvalid, m, "topics", strconv.Itoa(i))
		}
	}
	if len(t.Segments) > MaxSendSegments {
		c.Add(ProblemLimit, fmt.Sprintf("must name at most %d segments, names %d", MaxSendSegments, len(t.Segments)), "segments")
		return
	}
	for i, id := range t.Segments {
		if m := CheckIdentifier(id); m != "" {
			c.Add(ProblemInvalid, m, "segments", strconv.Itoa(i))
		}
	}
}

func (k Content) check(c *Check) {
	if strings.TrimSpace(k.Title) == "" {
		c.Add(ProblemRequired, "must not be empty where no template says it", "title")
	} else if m := CheckText(k.Title, MaxTitle); m != "" {
		c.Add(ProblemInvalid, m, "title")
	}
	if m := CheckText(k.Body, MaxBody); m != "" {
		c.Add(ProblemInvalid, m, "body")
	}
	if m := CheckWebURL(k.Icon); m != "" && k.Icon != "" {
		c.Add(ProblemInvalid, m, "icon")
	}
	if m := CheckLink(k.URL); m != "" && k.URL != "" {
		c.Add(ProblemInvalid, m, "url")
	}
	if k.Data != nil {
		if m := CheckJSONObject(k.Data, MaxData, MaxDataDepth); m != "" {
			c.Add(ProblemInvalid, m, "data")
		}
	}
	if len(k.Blocks) > MaxBlocks {
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d blocks, has %d", MaxBlocks, len(k.Blocks)), "blocks")
		return
	}
	seen := make(map[string]bool, len(k.Blocks))
	for i, b := range k.Blocks {
		at := c.At("blocks", strconv.Itoa(i))
		b.check(at)
		at.That(!seen[b.ID], fmt.Sprintf("must be unique within the notification, %q is not", b.ID), "id")
		seen[b.ID] = true
	}
}

// completeBlocks gives a block without an id its place, counted from 1, and
// one without a variant the usual one.
func completeBlocks(blocks []Block) []Block {
	blocks = slices.Clone(blocks)
	for i := range blocks {
		if blocks[i].ID == "" {
			blocks[i].ID = strconv.Itoa(i + 1)
		}
		if blocks[i].Variant == "" {
			blocks[i].Variant = blockVariants[0]
		}
	}
	return blocks
}

func (b Block) check(c *Check) {
	if m := CheckIdentifier(b.ID); m != "" {
		c.Add(ProblemInvalid, m, "id")
	}
	c.That(slices.Contains(blockTypes, b.Type), "must be one of "+strings.Join(blockTypes, ", "), "type")
	c.That(slices.Contains(blockVariants, b.Variant), "must be one of "+strings.Join(blockVariants, ", "), "variant")
	if m := CheckText(b.Text, MaxTitle); m != "" {
		c.Add(ProblemInvalid, m, "text")
	}
	if m := CheckLink(b.Link); m != "" && b.Link != "" {
		c.Add(ProblemInvalid, m, "link")
	}
	if m := CheckWebURL(b.Src); m != "" && b.Src != "" {
		c.Add(ProblemInvalid, m, "src")
	}
}

func (r SendRequest) checkChannels(c *Check) []Channel {
	if r.Channels == nil {
		return nil
	}
	if len(r.Channels) == 0 {
		c.Add(ProblemRequired, "must name at least one channel; leave it out for all", "channels")
	}
	for i, ch := range r.Channels {
		c.That(ch.Valid(), "must be a channel", "channels", strconv.Itoa(i))
	}
	out := slices.Clone(r.Channels)
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *SendRequest) checkTimes(c *Check, now time.Time) {
	fires := now
	if !r.SendAt.IsZero() {
		r.SendAt = r.SendAt.UTC().Truncate(time.Microsecond)
		c.That(r.SendAt.Sub(now) <= MaxScheduleAhead, fmt.Sprintf("must be at most %d days ahead", MaxScheduleAhead/(24*time.Hour)), "sendAt")
		if r.SendAt.After(now) {
			fires = r.SendAt
		} else {
			r.SendAt = time.Time{}
		}
	}
	if !r.ExpiresAt.IsZero() {
		r.ExpiresAt = r.ExpiresAt.UTC().Truncate(time.Microsecond)
		c.That(r.ExpiresAt.After(fires), "must be after the send goes out", "expiresAt")
	}
}

// CheckWebURL says what is wrong with the address of something to load, or
// returns "": it must be an absolute http or https address of at most MaxURL
// bytes. Control characters, which browsers drop (so that "java\tscript:" is
// a scheme to them), are refused before anything is parsed.
func CheckWebURL(s string) string {
	return checkURL(s, "must be an http or https address", isWeb)
}

// CheckLink says what is wrong with the address that a press leads to, or
// returns "": what CheckWebURL accepts, a mailto address, or a path on the
// application's own site that begins with one slash.
func CheckLink(s string) string {
	return checkURL(s, `must be an http, https or mailto address, or a path that begins with "/"`, func(u *url.URL) bool {
		switch {
		case u.Scheme == "mailto":
			return u.Opaque != ""
		case strings.HasPrefix(s, "/"): // browsers take "//" and "/\" for the beginning of a host
			return !strings.HasPrefix(s, "//") && !strings.HasPrefix(s, `/\`)
		default:
			return isWeb(u)
		}
	})
}

func isWeb(u *url.URL) bool { return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" }

func checkURL(s, want string, ok func(*url.URL) bool) string {
	if m := CheckText(s, MaxURL); m != "" {
		return m
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "must not contain control characters"
	}
	if u, err := url.Parse(s); err != nil || !ok(u) {
		return want
	}
	return ""
}

// check finds what is wrong with what a send says about its delivery.
func (o SendOptions) check(c *Check) {
	if len(o.CollapseKey) > maxCollapseKey || o.CollapseKey != "" && CheckIdentifier(o.CollapseKey) != "" {
		c.Add(ProblemInvalid, fmt.Sprintf("must be at most %d bytes of text without control characters or blanks at either end", maxCollapseKey), "collapseKey")
	}
	checkOverrides(o.Overrides, c)
	if len(o.Escalations) > MaxEscalations {
		c.Add(ProblemLimit, fmt.Sprintf("must have at most %d entries, has %d", MaxEscalations, len(o.Escalations)), "escalations")
		return
	}
	seen := map[Channel]bool{}
	for i, e := range o.Escalations {
		at := c.At("escalations", strconv.Itoa(i))
		at.That(e.Channel.Valid() && e.Channel != ChannelInApp, "must be a channel other than IN_APP", "channel")
		at.That(!seen[e.Channel], "is there twice", "channel")
		at.That(e.After >= 0 && e.After <= MaxAfter, fmt.Sprintf("must be between 0 and %d", int64(MaxAfter/time.Second)), "afterSeconds")
		at.That(e.Unless == "" || e.Unless == MarkSeen || e.Unless == MarkRead, "must be SEEN or READ", "unless")
		seen[e.Channel] = true
	}
}

// MaxDedupe is how long a dedupe key counts, at most.
const MaxDedupe = 30 * 24 * time.Hour

// checkDedupe finds what is wrong with a dedupe key.
func (o SendOptions) checkDedupe(c *Check) {
	if o.DedupeKey == "" {
		return
	}
	if m := CheckIdentifier(o.DedupeKey); m != "" {
		c.Add(ProblemInvalid, m, "dedupeKey")
	}
	c.That(o.DedupeWithin >= time.Second && o.DedupeWithin <= MaxDedupe, fmt.Sprintf("must be between 1 and %d", int64(MaxDedupe/time.Second)), "dedupeSeconds")
}

// maxCollapseKey is what the narrowest provider takes, in bytes.
const maxCollapseKey = 64
