package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"carillon/internal/lab"
)

// bombStory throws documents and bodies at a server that cost a naive one far
// more than their sender. Each is refused, or answered when it comes to little,
// soon, and the server is no larger afterwards; whoever asks for something small
// meanwhile gets it.
type bombStory struct {
	times int // that each is thrown
	lanes int // at the same time
}

// bombReport is what the story found.
type bombReport struct {
	fell []fallen
	calm *timings // small queries meanwhile
}

// fallen is how one bomb fell.
type fallen struct {
	name                string
	bytes               int
	said                string // status and code
	took                *timings
	before, after, peak int64 // resident memory in bytes; peak is since the server began
}

func (r bombReport) String() string {
	var b strings.Builder
	for _, f := range r.fell {
		fmt.Fprintf(&b, "\n  %-32s %9d bytes: %s, %s, resident %.1f MB → %.1f MB (peak %.1f MB)", f.name, f.bytes, f.said, f.took, mb(f.before), mb(f.after), mb(f.peak))
	}
	return fmt.Sprintf("%s\n  small queries meanwhile: %s", b.String(), r.calm)
}

func mb(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// bomb is a body and the code that refuses it; empty: it is cheap and allowed.
type bomb struct {
	name, code string
	body       []byte
}

// document is a body with a GraphQL document.
func document(query string) []byte {
	b, _ := json.Marshal(map[string]string{"query": query}) // text always encodes
	return b
}

// levels are n fragments, each of which holds the one below as body says.
func levels(n int, on, body, end string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, " fragment F%d on %s { %s }", i, on, strings.ReplaceAll(body, "NEXT", fmt.Sprintf("...F%d", i+1)))
	}
	fmt.Fprintf(&b, " fragment F%d on %s { %s }", n, on, end)
	return b.String()
}

func bombs() []bomb {
	const complicated, large, input = "QUERY_TOO_COMPLEX", "PAYLOAD_TOO_LARGE", "BAD_USER_INPUT"
	aliases := func(n int, field string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "a%d: %s ", i, field)
		}
		return b.String()
	}
	sent := `notifications(first: 100) { nodes { user { `
	return []bomb{
		{"900 levels deep", complicated, document(strings.Repeat("{ user ", 900) + strings.Repeat("}", 900))},
		{"20 levels deep", complicated, document("{ " + strings.Repeat("viewer { user { inbox { nodes { user { ", 4) + "id" + strings.Repeat(" } } } } }", 4) + " }")},
		{"lists in lists", complicated, document("{ " + sent + `inbox(first: 100) { nodes { user { inbox(first: 100) { nodes { id } } } } } } } } }`)},
		{"1,900 fields wide", "GRAPHQL_VALIDATION_FAILED", document("{ viewer { " + strings.Repeat("nothing ", 1900) + "} }")},
		{"150 equal connections", "", document(`{ user(identifier: "u0") { ` + strings.Repeat("inbox(first: 100) { nodes { id } } ", 150) + "} }")},
		{"300 aliases", complicated, document("{ " + aliases(300, "serverStatus { version }") + "}")},
		{"60 mutations", complicated, document("mutation { " + aliases(60, `deleteUser(input: {user: "x"}) { replayed }`) + "}")},
		{"300 directives", complicated, document("{ __typename " + strings.Repeat("@skip(if: false) ", 300) + "}")},
		{"22 doublings by spreads", complicated, document(`{ user(identifier: "u0") { ...F0 } }` + levels(22, "User", "inbox { nodes { user { NEXT } } } b: inbox { nodes { user { NEXT } } }", "id"))},
		{"22 doublings of leaves", complicated, document("{ ...F0 }" + levels(22, "Query", "NEXT ... { NEXT }", "__typename"))},
		{"30 levels of two children", complicated, document(`{ notification(id: "x") { ...F0 } }` + levels(30, "Notification", "user { inbox { nodes { NEXT } } } ... { user { inbox { nodes { NEXT } } } }", "id"))},
		{"cycles of fragments", "GRAPHQL_VALIDATION_FAILED", document("{ ...F0 } " + "fragment F0 on Query { ...F1 ...F1 } fragment F1 on Query { ...F0 ...F0 }")},
		{"20 introspections, wide", complicated, document("{ " + aliases(20, "__schema { types { fields { args { type { fields { args { name } } } } } } }") + "}")},
		{"200,000 tokens", large, document("{" + strings.Repeat("x ", 200_000) + "}")},
		{"30,000 tokens", complicated, document("{" + strings.Repeat("x ", 30_000) + "}")},
		{"10 MB of a name", large, document("{" + strings.Repeat("x", 10<<20) + "}")},
		{"10 MB of variables", large, []byte(`{"query":"{ __typename }","variables":{"a":"` + strings.Repeat("x", 10<<20) + `"}}`)},
		{"900 KB of nested variables", input, []byte(`{"query":"{ __typename }","variables":{"a":` + strings.Repeat("[", 450_000) + strings.Repeat("]", 450_000) + `}}`)},
		{"900 KB of members", "", []byte(`{"query":"{ __typename }","variables":{` + strings.Repeat(`"aaaaaaaa":1,`, 70_000) + `"b":1}}`)},
		{"900 KB of a number", "", []byte(`{"query":"{ __typename }","variables":{"a":1` + strings.Repeat("0", 900_000) + `}}`)},
		{"a list of 100,000 operations", input, []byte("[" + strings.Repeat(`{"query":"{a}"},`, 60_000) + "{}]")},
	}
}

// run tells the story on s. The error says which promise was broken.
func (c bombStory) run(ctx context.Context, s *lab.Setup) (report bombReport, err error) {
	report.calm = new(timings)
	w, err := newWorld(ctx, s, 1)
	if err != nil {
		return report, err
	}
	defer func() {
		err = w.withLogs(err)
		w.close()
	}()
	srv, err := w.start(ctx)
	if err != nil {
		return report, err
	}
	calm, stop := context.WithCancel(ctx)
	asked := make(chan error, 1)
	go func() { asked <- c.ask(calm, w.client(0), report.calm) }()
	for _, b := range bombs() {
		f, err := c.fall(ctx, w, srv, b)
		report.fell = append(report.fell, f)
		if err != nil {
			stop()
			return report, fmt.Errorf("%s: %w", b.name, err)
		}
	}
	stop()
	if err := <-asked; err != nil {
		return report, fmt.Errorf("small queries meanwhile: %w", err)
	}
	return report, nil
}

// ask asks for something small again and again.
func (c bombStory) ask(ctx context.Context, client *lab.Client, took *timings) error {
	defer client.Close()
	for {
		began := time.Now()
		var out struct{ Viewer struct{ Environment string } }
		if err := client.Do(ctx, "{ viewer { environment } }", nil, &out); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		took.add(time.Since(began))
		if pause(ctx, 10*time.Millisecond) != nil {
			return nil
		}
	}
}

// What a bomb may do: ten times what is promised, on a loaded machine.
const (
	refusedWithin = 2 * time.Second
	growsBy       = 96 << 20 // bytes, for several of 10 MB at the same time
)

// fall throws one bomb several times.
func (c bombStory) fall(ctx context.Context, w *world, srv *lab.Server, b bomb) (f fallen, err error) {
	f = fallen{name: b.name, bytes: len(b.body), took: new(timings)}
	if f.before, err = residentBytes(srv.PID()); err != nil {
		return f, err
	}
	var wg sync.WaitGroup
	errs := make([]error, c.lanes)
	said := make([]string, c.lanes)
	for lane := range c.lanes {
		wg.Go(func() {
			for range c.times {
				began := time.Now()
				var code string
				if code, said[lane], errs[lane] = throw(ctx, srv.URL, w.env.SecretKey, b.body); errs[lane] == nil && code != b.code {
					errs[lane] = fmt.Errorf("the code is %q, want %q: %s", code, b.code, said[lane])
				}
				if errs[lane] != nil {
					return
				}
				f.took.add(time.Since(began))
			}
		})
	}
	wg.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return f, errs[i]
	}
	f.said = said[0]
	if f.after, err = residentBytes(srv.PID()); err != nil {
		return f, err
	}
	if f.peak, err = status(srv.PID(), "VmHWM:"); err != nil {
		return f, err
	}
	switch worst := f.took.at(1); {
	case worst > refusedWithin:
		return f, fmt.Errorf("it took %s", worst)
	case f.after > f.before+growsBy:
		return f, fmt.Errorf("the server grew from %.1f MB to %.1f MB", mb(f.before), mb(f.after))
	}
	return f, nil
}

// throw posts a body, and returns the code of the refusal, empty for none. A
// server that refuses by its length alone says so before it has
// read the body, so it is asked first.
func throw(ctx context.Context, url, credential string, body []byte) (code, said string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+credential)
	req.Header.Set("Expect", "100-continue") // the answer may come before the body
	res, err := bombing.Do(req)
	if err != nil {
		return "", "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return "", "", err
	}
	var answer struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return "", "", fmt.Errorf("the answer is not JSON: %.200s", raw)
	}
	if len(answer.Errors) > 0 {
		code = answer.Errors[0].Extensions.Code
	}
	return code, fmt.Sprintf("%d %s", res.StatusCode, code), nil
}

// bombing waits for the server's word before it sends a body.
var bombing = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16, ExpectContinueTimeout: 5 * time.Second, DisableCompression: true}}
