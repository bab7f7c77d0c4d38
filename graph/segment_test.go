package graph_test

import (
	"strings"
	"testing"
	"time"

	"carillon/store/storetest"
)

// ask posts an operation and returns its answer.
func (w *world) ask(t *testing.T, as, query string) string {
	t.Helper()
	_, body := w.post(t, request{as: as, query: query}, nil)
	return strings.Join(strings.Fields(string(body)), " ")
}

// TestSegmentsKeepThemselves is the story of a segment: made, filled, changed
// under it, sent to, and gone.
func TestSegmentsKeepThemselves(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		says := func(what, query string, want ...string) {
			t.Helper()
			wants(t, what, w.ask(t, "shop", query), want...)
		}
		refresh := func() {
			t.Helper()
			if err := w.segments.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		const show = `{ segment(identifier: "named") { size members { nodes { identifier } } } }`

		says("before it was evaluated", `{ segment(identifier: "named") { id size refreshedAt rule } }`, `"size":0,"refreshedAt":null,"rule":{"attribute":{"name":"firstName","exists":true}}`)
		refresh()
		says("who matches", show, `"size":1,"members":{"nodes":[{"identifier":"ada"}]}`)
		wants(t, "elsewhere", w.ask(t, "other", show), `"size":1,"members":{"nodes":[{"identifier":"ada"}]}`)

		says("a change of a profile", `mutation { patchProfile(input: {user: "bob", set: {firstName: "Bob"}}) { userErrors { message } } }`, `"userErrors":[]`)
		refresh()
		says("who matches then", show, `"size":2,"members":{"nodes":[{"identifier":"bob"},{"identifier":"ada"}]}`)
		says("as the user has to do with it", `{ user(identifier: "bob") { segments { segment { identifier } member suppressed } } }`,
			`"segments":[{"segment":{"identifier":"named"},"member":true,"suppressed":true}]`)

		says("a dry run", `mutation { sendNotification(input: {to: {segments: ["named"]}, title: "T", dryRun: true}) { plan { identifier channels { channel decision { allowed reason } } } userErrors { message } } }`,
			`{"identifier":"ada","channels":[{"channel":"IN_APP","decision":{"allowed":true,"reason":"ENV_DEFAULT"}}`, `{"identifier":"bob","channels":[{"channel":"IN_APP","decision":{"allowed":false,"reason":"SEGMENT_SUPPRESSED"}}`)
		says("a send", `mutation { sendNotification(input: {to: {segments: ["named"]}, title: "To the named"}) { send { status } userErrors { message } } }`, `"status":"EXPANDING"`)
		says("a change before it goes out", `mutation { patchProfile(input: {user: "eve", set: {firstName: "Eve"}}) { userErrors { message } } setUserEnabled(input: {user: "eve", enabled: true}) { userErrors { message } } }`)
		if err := w.sends.ExpandAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		says("how it went", `{ sends(first: 1) { nodes { status progress { total done skipped } } } }`, `"status":"SENT","progress":{"total":3,"done":2,"skipped":1}`)
		says("the others", `{ user(identifier: "eve") { inbox { nodes { title } } } }`, `"To the named"`)

		says("another rule", `mutation { updateSegment(input: {identifier: "named", rule: {any: [{topic: "posts/7"}, {event: {name: "Paid", atLeast: 2, where: [{name: "price", atLeast: 1.5}]}}]}}) { segment { refreshedAt size } userErrors { message } } }`, `"refreshedAt":null`)
		for range 2 {
			says("an event", `mutation { trackEvents(input: {user: "eve", events: [{name: "Paid", properties: {price: 2}}]}) { userErrors { message } } }`, `"userErrors":[]`)
		}
		refresh()
		says("who matches that", show, `"size":3,`)
		says("a merge", `mutation { mergeUsers(input: {from: "bob", into: "eve"}) { userErrors { message } } }`, `"userErrors":[]`)
		says("and a deletion", `mutation { deleteUser(input: {user: "ada"}) { userErrors { message } } }`, `"userErrors":[]`)
		refresh()
		says("who is left", show, `"size":1,"members":{"nodes":[{"identifier":"eve"}]}`)
		says("with whom a suppression moved", `{ user(identifier: "eve") { segments { suppressed } } }`, `"suppressed":true`)
		says("gone", `mutation { deleteSegment(input: {identifier: "named"}) { deletedSegmentId } }`, `"deletedSegmentId":"seg_`)
		says("no more", show, `"segment":null`)
	})
}

func TestRulesAreRefusedWithTheirPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t, storetest.SQLite(t))
	for _, tt := range []struct{ rule, path string }{
		{`{}`, `["rule"]`},
		{`{topic: "news", enabled: true}`, `["rule"]`},
		{`{all: []}`, `["rule","all"]`},
		{`{any: [{enabled: true}, {not: {attribute: {name: "seats"}}}]}`, `["rule","any","1","not","attribute"]`},
		{`{attribute: {name: "firstName", atLeast: 3}}`, `["rule","attribute","atLeast"]`},
		{`{attribute: {name: "x", oneOf: [1, {a: 1}]}}`, `["rule","attribute","oneOf","1"]`},
		{`{event: {name: "Paid", withinDays: 0}}`, `["rule","event","withinDays"]`},
		{`{event: {name: "Paid", sum: {}}}`, `["rule","event","sum"]`},
		{`{created: {}}`, `["rule","created"]`},
		{strings.Repeat(`{not: `, 9) + `{enabled: true}` + strings.Repeat(`}`, 9), `["rule","not"`},
	} {
		wants(t, tt.rule, w.ask(t, "shop", `mutation { createSegment(input: {identifier: "s", name: "S", rule: `+tt.rule+`}) { segment { id } userErrors { path } } }`), `"segment":null`, `"path":`+tt.path)
		wants(t, tt.rule, w.ask(t, "shop", `{ previewSegment(rule: `+tt.rule+`) { count } }`), `"errors":`)
	}
	for _, field := range []string{`segments { nodes { id } }`, `segment(identifier: "named") { id }`, `previewSegment(rule: {enabled: true}) { count }`} {
		wants(t, field+" as a user", w.ask(t, "shop/ada", "{ "+field+" }"), `FORBIDDEN`)
	}
	const preview = `: previewSegment(rule: {enabled: true}) { count } `
	wants(t, "four previews", w.ask(t, "shop", `{ a`+preview+`b`+preview+`c`+preview+`d`+preview+`}`), `"d":{"count":`)
	wants(t, "five", w.ask(t, "shop", `{ a`+preview+`b`+preview+`c`+preview+`d`+preview+`e`+preview+`}`), `QUERY_TOO_COMPLEX`)
	wants(t, "their own segments", w.ask(t, "shop/ada", `{ viewer { user { segments { member } } } }`), `FORBIDDEN`)
	wants(t, "another app's id", w.ask(t, "other", `{ node(id: "@shop/named") { id } }`), `"node":null`)
	wants(t, "a segment of one app", w.ask(t, "shop", `mutation { createSegment(input: {identifier: "mine", name: "Mine", rule: {enabled: true}}) { userErrors { path } } }`), `"userErrors":[]`)
	wants(t, "the same again", w.ask(t, "shop", `mutation { createSegment(input: {identifier: "mine", name: "Mine", rule: {enabled: true}}) { userErrors { code path } } }`), `"code":"CONFLICT","path":["identifier"]`)
	for mutation, path := range map[string]string{
		`updateSegment(input: {identifier: "mine", name: "Theirs"})`:                         `["identifier"]`,
		`deleteSegment(input: {identifier: "mine"})`:                                         `["identifier"]`,
		`setSegmentSuppression(input: {segment: "mine", user: "ada", suppressed: true})`:     `["segment"]`,
		`setSegmentSuppression(input: {segment: "named", user: "nobody", suppressed: true})`: `["user"]`,
		`sendNotification(input: {to: {segments: ["named", "mine"]}, title: "T"})`:           `["to","segments","1"]`,
		`sendNotification(input: {to: {segments: ["mine"]}, title: "T", dryRun: true})`:      `["to","segments","0"]`,
	} {
		wants(t, mutation+" from another", w.ask(t, "other", `mutation { `+mutation+` { userErrors { code path } } }`), `"code":"NOT_FOUND","path":`+path)
	}
	wants(t, "what is left of it", w.ask(t, "shop", `{ segment(identifier: "mine") { name } }`), `"name":"Mine"`)
}

// TestScheduledSendGoesToWhoIsInTheSegmentThen schedules a send to a segment, and
// has users leave and enter it before the hour.
func TestScheduledSendGoesToWhoIsInTheSegmentThen(t *testing.T) {
	t.Parallel()
	storetest.EachURL(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		do := func(query string, want ...string) {
			t.Helper()
			wants(t, query, w.ask(t, "shop", query), want...)
		}
		fire := func() {
			t.Helper()
			if _, err := w.sends.FireDue(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := w.sends.ExpandAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, u := range []string{"stays", "leaves", "enters", "dies", "never"} {
			tier := "gold"
			if u == "enters" || u == "never" {
				tier = "tin"
			}
			do(`mutation { identifyUser(input: {identifier: "`+u+`", profile: {tier: "`+tier+`"}}) { userErrors { message } } }`, `"userErrors":[]`)
		}
		do(`mutation { createSegment(input: {identifier: "gold", name: "Gold", rule: {attribute: {name: "tier", startsWith: "gold"}}}) { userErrors { message } } }`, `"userErrors":[]`)
		at := w.clock.Now().Add(time.Hour)
		do(`mutation { sendNotification(input: {to: {segments: ["gold"]}, title: "To the gold", sendAt: "`+at.Format(time.RFC3339)+`"}) { send { status progress { total } } userErrors { message } } }`,
			`"status":"SCHEDULED"`, `"total":null`, `"userErrors":[]`)

		w.clock.pass(time.Hour - time.Second)
		do(`mutation { a: patchProfile(input: {user: "leaves", mergePatch: {tier: "tin"}}) { userErrors { message } } b: patchProfile(input: {user: "enters", mergePatch: {tier: "gold"}}) { userErrors { message } }
			c: deleteUser(input: {user: "dies"}) { userErrors { message } } }`, `"a":{"userErrors":[]}`, `"b":{"userErrors":[]}`, `"c":{"userErrors":[]}`)
		fire()
		do(`{ sends(first: 1) { nodes { status progress { done } } } }`, `"status":"SCHEDULED","progress":{"done":0}`)
		w.clock.pass(time.Second)
		fire()
		do(`{ sends(first: 1) { nodes { status progress { total done skipped failed } } } }`, `"status":"SENT","progress":{"total":2,"done":2,"skipped":0,"failed":0}`)
		for user, total := range map[string]string{"stays": "1", "enters": "1", "leaves": "0", "never": "0"} {
			do(`{ user(identifier: "`+user+`") { inbox(first: 2) { counters { total } nodes { title } } } }`, `"counters":{"total":`+total+`}`)
		}
		do(`mutation { patchProfile(input: {user: "never", mergePatch: {tier: "gold"}}) { userErrors { message } } }`, `"userErrors":[]`)
		fire() // who enters afterwards is too late
		do(`{ user(identifier: "never") { inbox(first: 2) { counters { total } } } }`, `"total":0`)
	})
}
