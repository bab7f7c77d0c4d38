package transport_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon/graph/transport"
	"carillon/model"
)

// request is one HTTP request of a table; header lines are "Name: value".
type request struct {
	method  string // POST
	query   string // of the URL
	body    string
	headers []string // in addition to Content-Type: application/json for POST, and a credential
}

// reply is the answer to a request, its body read.
type reply struct {
	StatusCode int
	Header     http.Header
}

func (s *server) send(t testing.TB, q request) (reply, string) {
	t.Helper()
	if q.method == "" {
		q.method = http.MethodPost
	}
	var body io.Reader
	if q.method == http.MethodPost {
		body = strings.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), q.method, s.url+q.query, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer ada")
	if q.method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range q.headers {
		name, value, _ := strings.Cut(line, ": ")
		if value == "-" {
			r.Header.Del(name)
			continue
		}
		if name == "Accept" || r.Header.Get(name) != "" && name != "X-Twice" {
			r.Header.Del(name)
		}
		r.Header.Add(name, value)
	}
	resp, err := s.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header}, string(text)
}

func firstCode(t testing.TB, body string) string {
	t.Helper()
	var a struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

func get(params ...string) string {
	v := url.Values{}
	for i := 0; i < len(params); i += 2 {
		v.Add(params[i], params[i+1])
	}
	return "?" + v.Encode()
}

// TestStatus is the table of what is answered to what: by class of error and
// by media type.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.Body, s.RequestTimeout = 2000, 100*time.Millisecond })
	const graphql = "Accept: application/graphql-response+json"
	const coerce = `{"query":"query($n: Int!) { number(n: $n) }","variables":{"n":"x"}}`
	tests := []struct {
		name   string
		in     request
		status int
		code   string
	}{
		{"Query", request{body: `{"query":"{ hello }"}`}, 200, ""},
		{"Mutation", request{body: `{"query":"mutation { rename(input: {id: 1, name: \"x\"}) { key } }"}`}, 200, ""},
		{"FieldError", request{body: `{"query":"{ fail(how: \"forbidden\") }"}`, headers: []string{graphql}}, 200, "FORBIDDEN"},
		{"Parse", request{body: `{"query":"{"}`}, 200, "GRAPHQL_PARSE_FAILED"},
		{"ParseGraphQL", request{body: `{"query":"{"}`, headers: []string{graphql}}, 400, "GRAPHQL_PARSE_FAILED"},
		{"Validate", request{body: `{"query":"{ x }"}`}, 200, "GRAPHQL_VALIDATION_FAILED"},
		{"ValidateGraphQL", request{body: `{"query":"{ x }"}`, headers: []string{graphql}}, 400, "GRAPHQL_VALIDATION_FAILED"},
		{"Coerce", request{body: coerce}, 200, "BAD_USER_INPUT"},
		{"CoerceGraphQL", request{body: coerce, headers: []string{graphql}}, 400, "BAD_USER_INPUT"},
		{"Complex", request{body: `{"query":"{ users(first: 5001) { nodes { id } } }"}`}, 400, "QUERY_TOO_COMPLEX"},
		{"Hash", request{body: `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`, headers: []string{graphql}}, 200, "PERSISTED_QUERY_NOT_SUPPORTED"},
		{"Subscription", request{body: `{"query":"subscription { counter { n } }"}`, headers: []string{graphql}}, 400, "BAD_USER_INPUT"},
		{"Anonymous", request{body: `{"query":"{ hello }"}`, headers: []string{"Authorization: -"}}, 401, "UNAUTHENTICATED"},
		{"AnonymousTypename", request{body: `{"query":"{ __typename }"}`, headers: []string{"Authorization: -"}}, 200, ""},
		{"AnonymousIntrospection", request{body: `{"query":"{ __schema { queryType { name } } }"}`, headers: []string{"Authorization: -"}}, 200, ""},
		{"Forbidden", request{body: `{"query":"{ hello who }"}`, headers: []string{"Authorization: Bearer mallory"}}, 403, "FORBIDDEN"},
		{"Away", request{body: `{"query":"{ hello must(how: \"unavailable\") }"}`}, 503, "UNAVAILABLE"},
		{"AwayInPart", request{body: `{"query":"{ hello fail(how: \"unavailable\") }"}`}, 200, "UNAVAILABLE"},
		{"Slow", request{body: `{"query":"{ slow }"}`}, 503, "UNAVAILABLE"},
		{"Bug", request{body: `{"query":"{ fail(how: \"bug\") }"}`}, 200, "INTERNAL"},

		{"NotJSON", request{body: `{ "not a JSON`}, 400, "BAD_USER_INPUT"},
		{"Trailing", request{body: `{"query":"{ hello }"} {}`}, 400, "BAD_USER_INPUT"},
		{"Batch", request{body: `[{"query":"{ hello }"}]`}, 400, "BAD_USER_INPUT"},
		{"NoBody", request{}, 400, "BAD_USER_INPUT"},
		{"NoQuery", request{body: `{"qeury":"{ hello }"}`}, 400, "BAD_USER_INPUT"},
		{"NotUTF8", request{body: "{\"query\":\"{ hello }\",\"x\":\"\xff\"}"}, 400, "BAD_USER_INPUT"},
		{"Deep", request{body: `{"query":"{ hello }","variables":{"a":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}}`}, 400, "BAD_USER_INPUT"},
		{"TooLarge", request{body: `{"query":"{ hello }","x":"` + strings.Repeat("x", 2000) + `"}`}, 413, "PAYLOAD_TOO_LARGE"},
		{"Text", request{body: `{"query":"{ hello }"}`, headers: []string{"Content-Type: text/plain"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Form", request{body: `query=%7Bhello%7D`, headers: []string{"Content-Type: application/x-www-form-urlencoded"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Multipart", request{body: `x`, headers: []string{"Content-Type: multipart/form-data; boundary=x"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"GraphQLBody", request{body: `{ hello }`, headers: []string{"Content-Type: application/graphql"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"NoContentType", request{body: `{"query":"{ hello }"}`, headers: []string{"Content-Type: -"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Charset", request{body: `{"query":"{ hello }"}`, headers: []string{"Content-Type: application/json; charset=UTF-8"}}, 200, ""},
		{"OtherCharset", request{body: `{"query":"{ hello }"}`, headers: []string{"Content-Type: application/json; charset=utf-16"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Compressed", request{body: `{"query":"{ hello }"}`, headers: []string{"Content-Encoding: gzip"}}, 415, "UNSUPPORTED_MEDIA_TYPE"},
		{"Picture", request{body: `{"query":"{ hello }"}`, headers: []string{"Accept: image/png"}}, 406, "NOT_ACCEPTABLE"},
		{"Nothing", request{body: `{"query":"{ hello }"}`, headers: []string{"Accept: application/json;q=0"}}, 406, "NOT_ACCEPTABLE"},
		{"LongKey", request{body: `{"query":"{ hello }"}`, headers: []string{"Idempotency-Key: " + strings.Repeat("x", 2000)}}, 400, "BAD_USER_INPUT"},

		{"Get", request{method: "GET", query: get("query", "{ hello }")}, 200, ""},
		{"Head", request{method: "HEAD", query: get("query", "{ hello }")}, 200, ""},
		{"GetVariables", request{method: "GET", query: get("query", "query A($n: Int!) { number(n: $n) }", "variables", `{"n":1}`, "operationName", "A")}, 200, ""},
		{"GetMutation", request{method: "GET", query: get("query", "mutation { __typename }")}, 405, "METHOD_NOT_ALLOWED"},
		{"GetSubscription", request{method: "GET", query: get("query", "subscription { counter { n } }")}, 405, "METHOD_NOT_ALLOWED"},
		{"GetNothing", request{method: "GET"}, 400, "BAD_USER_INPUT"},
		{"GetTwice", request{method: "GET", query: get("query", "{ hello }", "query", "{ who }")}, 400, "BAD_USER_INPUT"},
		{"GetBadVariables", request{method: "GET", query: get("query", "{ hello }", "variables", "{")}, 400, "BAD_USER_INPUT"},
		{"GetListVariables", request{method: "GET", query: get("query", "{ hello }", "variables", "[]")}, 400, "BAD_USER_INPUT"},
		{"GetNotUTF8", request{method: "GET", query: "?query=%ff"}, 400, "BAD_USER_INPUT"},
		{"GetBadEscape", request{method: "GET", query: "?query=%zz"}, 400, "BAD_USER_INPUT"},
		{"GetSimple", request{method: "GET", query: get("query", "{ hello }"), headers: []string{"Authorization: -"}}, 401, "UNAUTHENTICATED"},
		{"GetSimpleTypename", request{method: "GET", query: get("query", "{ __typename }"), headers: []string{"Authorization: -"}}, 200, ""},
		{"Put", request{method: "PUT"}, 405, "METHOD_NOT_ALLOWED"},
		{"Delete", request{method: "DELETE"}, 405, "METHOD_NOT_ALLOWED"},
		{"Patch", request{method: "PATCH"}, 405, "METHOD_NOT_ALLOWED"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp, body := s.send(t, tt.in)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.status, body)
			}
			header := resp.Header
			if header.Get("Access-Control-Allow-Origin") != "*" || header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("a page of another origin cannot read it: %v", header)
			}
			if got := header.Get("Content-Type"); !strings.HasPrefix(got, "application/") || !strings.HasSuffix(got, "json; charset=utf-8") {
				t.Errorf("Content-Type %q", got)
			}
			switch resp.StatusCode {
			case 405:
				if header.Get("Allow") == "" {
					t.Error("405 without Allow")
				}
			case 401:
				if header.Get("WWW-Authenticate") != "Bearer" {
					t.Error("401 without WWW-Authenticate")
				}
			case 503:
				if header.Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			}
			if tt.in.method == "HEAD" {
				return
			}
			if got := firstCode(t, body); got != tt.code {
				t.Errorf("code %q, want %q: %s", got, tt.code, body)
			}
			if tt.code != "" && resp.StatusCode != 200 && tt.name != "Away" && strings.Contains(body, `"data"`) {
				t.Errorf("nothing ran, and there is data: %s", body)
			}
			if strings.Contains(body, "secret") || len(body) > 1000 {
				t.Errorf("the answer shows too much: %s", body)
			}
		})
	}
}

func TestRefuseLooksLikeTheHandlersOwn(t *testing.T) {
	t.Parallel()
	s := serve(t)
	w := httptest.NewRecorder()
	s.Refuse(w, httptest.NewRequestWithContext(t.Context(), "POST", "/graphql", nil),
		&model.Error{Kind: model.KindRateLimited, Message: "too many", RetryAfter: 1500 * time.Millisecond})
	if w.Code != 429 || w.Header().Get("Retry-After") != "2" || firstCode(t, w.Body.String()) != "RATE_LIMITED" ||
		w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestIdempotencyKeyReachesTheResolver(t *testing.T) {
	t.Parallel()
	s := serve(t)
	_, body := s.send(t, request{
		body: `{"query":"mutation { rename(input: {id: 1, name: \"x\"}) { key } }"}`, headers: []string{"Idempotency-Key: k-1"},
	})
	if want := `{"data":{"rename":{"key":"k-1"}}}`; body != want {
		t.Errorf("got %s, want %s", body, want)
	}
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for bytes_, want := range map[string]string{"1000": "", "100000": "gzip"} {
		resp, body := s.send(t, request{body: `{"query":"{ text(bytes: ` + bytes_ + `) }"}`, headers: []string{"Accept-Encoding: br, gzip;q=0.5"}})
		if got := resp.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%s bytes: Content-Encoding %q, want %q", bytes_, got, want)
		}
		if want == "gzip" {
			z, err := gzip.NewReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(z)
			if err != nil || !bytes.HasPrefix(text, []byte(`{"data":{"text":"xxx`)) || len(text) < 100_000 {
				t.Errorf("%v, %.60s", err, text)
			}
		}
	}
	resp, _ := s.send(t, request{body: `{"query":"{ text(bytes: 100000) }"}`, headers: []string{"Accept-Encoding: gzip;q=0"}})
	if resp.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for a client that does not want it")
	}
}

// TestUnreadAnswerIsDropped lets a client ask for much and read nothing.
func TestUnreadAnswerIsDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.WriteTimeout, s.CompressAbove = 100*time.Millisecond, -1 })
	conn, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"query":"{ text(bytes: 50000000) }"}`
	if _, err := io.WriteString(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ada\r\nContent-Type: application/json\r\nContent-Length: "+
		strconv.Itoa(len(body))+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection is closed", func() bool { return s.closed.Load() > 0 })
	// What was on its way can be read, and then the end.
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, conn)
	if errors.Is(err, os.ErrDeadlineExceeded) || n >= 50_000_000 {
		t.Errorf("read %d bytes, then %v: the answer was not dropped", n, err)
	}
}

func TestSlowBodyIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, func(s *transport.Settings) { s.BodyTimeout = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 12)
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "HTTP/1.1 408" {
		t.Errorf("got %q, %v, want 408", line, err)
	}
}

func TestDrainWaitsForNothingWhenNothingIsOpen(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	h := transport.New(nil, s.auth, transport.Settings{}, nil)
	if err := h.Drain(ctx); err != nil {
		t.Error(err)
	}
}
