package rest_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"carillon/auth"
	"carillon/internal/admission"
	"carillon/internal/ratelimit"
	"carillon/internal/shed"
	"carillon/model"
	"carillon/rest"
)

// echo answers with the pattern's name and the parameters.
func echo(name string, params ...string) rest.Handler {
	return func(r *http.Request) (int, any, error) {
		out := []string{name}
		for _, p := range params {
			out = append(out, r.PathValue(p))
		}
		return http.StatusOK, strings.Join(out, " "), nil
	}
}

func surface() *rest.Surface {
	return &rest.Surface{
		Name: "acme",
		Authenticate: func(r *http.Request) (auth.Caller, error) {
			switch r.Header.Get("X-Acme") {
			case "":
				return auth.Caller{}, auth.ErrNone
			case "user":
				return auth.Caller{Kind: auth.User, User: "ada", UserID: 7, Env: model.Environment{ID: 1}}, nil
			default:
				return auth.Caller{Kind: auth.Secret, Env: model.Environment{ID: 1}}, nil
			}
		},
		Envelope:  func(_ *http.Request, f *rest.Failure) any { return map[string]any{"wrong": f.Texts(), "code": f.Code} },
		Challenge: "Acme", Headers: []string{"x-acme"}, Log: slog.New(slog.DiscardHandler),
	}
}

func serve(t *testing.T, routes func(*rest.Router, *rest.Surface)) *httptest.Server {
	t.Helper()
	next := http.NewServeMux()
	next.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	router, s := &rest.Router{Next: next}, surface()
	router.Own("/v3", s)
	routes(router, s)
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)
	return server
}

// answer is what came back, without the body.
type answer struct {
	StatusCode int
	Header     http.Header
}

// raw sends a request line as it is: clients of Go tidy paths up.
func raw(t *testing.T, server *httptest.Server, method, target, headers, body string) (answer, string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", server.Listener.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s", method, target, len(body), headers, body)
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header}, string(b)
}

func TestRouting(t *testing.T) {
	t.Parallel()
	server := serve(t, func(r *rest.Router, s *rest.Surface) {
		open := rest.Access{Open: true}
		r.Handle(s, "GET /v3/users/{id}", open, echo("user", "id"))
		r.Handle(s, "DELETE /v3/users/{id}", open, echo("delete", "id"))
		r.Handle(s, "GET /v3/users/merge", open, echo("merge"))
		r.Handle(s, "GET /v3/users/{id}/devices/{device}", open, echo("device", "id", "device"))
		r.Handle(s, "DELETE /v3/users{id}", open, echo("slashless", "id"))
		r.Handle(s, "POST /v3", open, echo("root"))
	})
	for _, tt := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"GET", "/v3/users/ada", 200, `"user ada"`},
		{"GET", "/v3/users/ada/", 200, `"user ada"`},
		{"GET", "//v3///users//ada//", 200, `"user ada"`},
		{"GET", "/v3/users/jane+x:y@example.com", 200, `"user jane+x:y@example.com"`},
		{"GET", "/v3/users/a%2Fb%20c", 200, `"user a/b c"`},
		{"GET", "/v3/users/a%252Fb", 200, `"user a%2Fb"`},
		{"GET", "/v3/users/merge", 200, `"merge"`},
		{"DELETE", "/v3/users/merge", 200, `"delete merge"`},
		{"GET", "/v3/users/merge/devices/phone", 200, `"device merge phone"`},
		{"DELETE", "/v3/usersbob", 200, `"slashless bob"`},
		{"DELETE", "/v3/users/bob", 200, `"delete bob"`},
		{"GET", "/v3/users/../ada", 404, `{"code":"NOT_FOUND","wrong":["nothing is served at this path"]}`},
		{"POST", "/v3/", 200, `"root"`},
		{"GET", "/v3/nothing", 404, `{"code":"NOT_FOUND","wrong":["nothing is served at this path"]}`},
		{"GET", "/v3/users/%zz", 400, ""},
		{"PUT", "/v3/users/ada", 405, `{"code":"METHOD_NOT_ALLOWED","wrong":["this path takes DELETE, GET, not PUT"]}`},
		{"DELETE", "/v3/users", 404, `{"code":"NOT_FOUND","wrong":["nothing is served at this path"]}`},
		{"GET", "/elsewhere", 418, ""},
		{"GET", "/", 418, ""},
	} {
		res, body := raw(t, server, tt.method, tt.target, "", "")
		if res.StatusCode != tt.status || tt.want != "" && body != tt.want {
			t.Errorf("%s %s: %d %s, want %d %s", tt.method, tt.target, res.StatusCode, body, tt.status, tt.want)
		}
		if tt.status != 418 && tt.target != "/v3/users/%zz" && !strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s: Content-Type %q", tt.method, tt.target, res.Header.Get("Content-Type"))
		}
	}
	if res, body := raw(t, server, "HEAD", "/v3/users/ada", "", ""); res.StatusCode != 200 || body != "" {
		t.Errorf("HEAD: %d %q", res.StatusCode, body)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	server := serve(t, func(r *rest.Router, s *rest.Surface) {
		r.Handle(s, "PATCH /v3/profile", rest.Access{}, echo("profile"))
	})
	for target, methods := range map[string]string{"/v3/profile": "PATCH, OPTIONS", "//v3//profile/": "PATCH, OPTIONS", "/v3/nothing": "GET, POST, PUT, PATCH, DELETE, OPTIONS"} {
		res, body := raw(t, server, "OPTIONS", target, "Origin: https://shop.example\r\nAccess-Control-Request-Method: PATCH\r\n", "")
		allowed := res.Header.Get("Access-Control-Allow-Headers")
		if res.StatusCode != 200 || body != "{}" || res.Header.Get("Access-Control-Allow-Methods") != methods || res.Header.Get("Access-Control-Allow-Origin") != "*" ||
			!strings.Contains(allowed, "x-acme") || !strings.Contains(allowed, "expires") {
			t.Errorf("%s: %d %q %v", target, res.StatusCode, body, res.Header)
		}
	}
}

func TestTheOrderOfChecks(t *testing.T) {
	t.Parallel()
	forUsers := rest.Access{Allow: func(c auth.Caller) error {
		if c.Kind != auth.User {
			return model.Errorf(model.KindForbidden, "for users")
		}
		return nil
	}}
	server := serve(t, func(r *rest.Router, s *rest.Surface) {
		r.Handle(s, "POST /v3/x", forUsers, func(r *http.Request) (int, any, error) {
			body, err := rest.Body(r, 100)
			return 202, body, err
		})
	})
	for _, tt := range []struct {
		name, headers, body string
		status              int
	}{
		{"NoCredentialBesideABrokenBody", "", "{", 401},
		{"WrongLevelBesideABrokenBody", "X-Acme: app\r\n", "{", 403},
		{"BrokenBody", "X-Acme: user\r\n", "{", 400},
		{"Trailing", "X-Acme: user\r\n", "{}{}", 400},
		{"NUL", "X-Acme: user\r\n", `{"a":"\u0000"}`, 400},
		{"NotUTF8", "X-Acme: user\r\n", "{\"a\":\"\xff\"}", 400},
		{"Large", "X-Acme: user\r\n", `{"a":"` + strings.Repeat("x", 100) + `"}`, 413},
		{"Text", "X-Acme: user\r\nContent-Type: text/plain\r\n", "{}", 415},
		{"Form", "X-Acme: user\r\nContent-Type: application/x-www-form-urlencoded\r\n", "a=b", 415},
		{"Twice", "X-Acme: user\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n", "{}", 415},
		{"UTF16", "X-Acme: user\r\nContent-Type: application/json; charset=utf-16\r\n", "{}", 415},
		{"Zipped", "X-Acme: user\r\nContent-Encoding: gzip\r\n", "{}", 415},
		{"NoType", "X-Acme: user\r\n", "{}", 202},
		{"JSON", "X-Acme: user\r\nContent-Type: application/json; charset=UTF-8\r\n", "{}", 202},
		{"NoBodyOfAnyType", "X-Acme: user\r\nContent-Type: text/plain\r\n", "", 202},
	} {
		res, body := raw(t, server, "POST", "/v3/x", tt.headers, tt.body)
		if res.StatusCode != tt.status || !json.Valid([]byte(body)) {
			t.Errorf("%s: %d %s, want %d", tt.name, res.StatusCode, body, tt.status)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", tt.name, res.Header)
		}
		if want := tt.status == 401; (res.Header.Get("WWW-Authenticate") != "") != want {
			t.Errorf("%s: WWW-Authenticate %q", tt.name, res.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	errs := map[string]error{
		"invalid":     &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: []model.Problem{{Code: model.ProblemInvalid, Path: []string{"a", "0"}, Message: "must be text"}}},
		"conflict":    model.Conflict("is taken", "name"),
		"reused":      model.Errorf(model.KindKeyReused, "the key was used"),
		"unavailable": &model.Error{Kind: model.KindUnavailable, Message: "busy", RetryAfter: 1500 * time.Millisecond},
		"internal":    errors.New("pq: relation secret does not exist"),
	}
	server := serve(t, func(r *rest.Router, s *rest.Surface) {
		for name, err := range errs {
			r.Handle(s, "GET /v3/"+name, rest.Access{Open: true}, func(*http.Request) (int, any, error) { return 0, nil, err })
		}
		r.Handle(s, "GET /v3/panic", rest.Access{Open: true}, func(*http.Request) (int, any, error) { panic("secret") })
		r.Handle(s, "GET /v3/unencodable", rest.Access{Open: true}, func(*http.Request) (int, any, error) { return 200, func() {}, nil })
	})
	for name, want := range map[string]string{
		"invalid":     `400 {"code":"INVALID","wrong":["a.0 must be text"]}`,
		"conflict":    `409 {"code":"CONFLICT","wrong":["name is taken"]}`,
		"reused":      `422 {"code":"IDEMPOTENCY_KEY_REUSED","wrong":["the key was used"]}`,
		"unavailable": `503 {"code":"UNAVAILABLE","wrong":["busy"]}`,
		"internal":    `500 {"code":"INTERNAL","wrong":["internal error"]}`,
		"panic":       `500 {"code":"INTERNAL","wrong":["internal error"]}`,
		"unencodable": `500 {"code":"INTERNAL","wrong":["internal error"]}`,
	} {
		res, body := raw(t, server, "GET", "/v3/"+name, "", "")
		if got := fmt.Sprintf("%d %s", res.StatusCode, body); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if name == "unavailable" && res.Header.Get("Retry-After") != "2" {
			t.Errorf("Retry-After %q, want 2", res.Header.Get("Retry-After"))
		}
	}
}

func TestRatesAndRoom(t *testing.T) {
	t.Parallel()
	server := serve(t, func(r *rest.Router, s *rest.Surface) {
		s.Admission = admission.New(admission.Rates{User: ratelimit.Rate{PerSecond: 0.001, Burst: 1}}, shed.New(1, time.Millisecond))
		r.Handle(s, "GET /v3/x", rest.Access{}, echo("x"))
	})
	for i, want := range []int{200, 429} {
		res, body := raw(t, server, "GET", "/v3/x", "X-Acme: user\r\n", "")
		if res.StatusCode != want || want == 429 && res.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: %d %s", i, res.StatusCode, body)
		}
	}
	if res, _ := raw(t, server, "GET", "/v3/x", "X-Acme: app\r\n", ""); res.StatusCode != 200 {
		t.Errorf("the application's rate is another: %d", res.StatusCode)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	server := serve(t, func(r *rest.Router, s *rest.Surface) {
		r.Handle(s, "POST /v3/x", rest.Access{Open: true}, func(r *http.Request) (int, any, error) {
			body, err := rest.BodyOrForm(r, 1000)
			return 200, body, err
		})
	})
	const form = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n"
	for body, want := range map[string]string{
		"read=true&read=false&x=a%20b": `200 {"read":"false","x":"a b"}`,
		"a=%zz":                        `400 {"code":"INVALID","wrong":["the body must be a form of at most 200 fields"]}`,
		"a=%00":                        `400 {"code":"INVALID","wrong":["the body must not contain control characters (found U+0000)"]}`,
		"":                             "200 null",
	} {
		res, got := raw(t, server, "POST", "/v3/x", form, body)
		if got = fmt.Sprintf("%d %s", res.StatusCode, got); got != want {
			t.Errorf("%q: %s, want %s", body, got, want)
		}
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	var c model.Check
	in := rest.Object(json.RawMessage(`{
		"text":"a","null":null,"number":1,"yes":"true","no":false,"id":"12","badID":"012","zero":0,
		"object":{"inner":7},"empty":[],"list":["a","b"],"mixed":["a",1,null],"notObject":[1],"notList":{}}`), &c)
	if in.Text("text") != "a" || in.Text("null") != "" || in.Text("none") != "" || !in.Bool("yes") || in.Bool("no") || in.ID("id") != 12 ||
		in.Has("null") || !in.Has("text") || string(in.ObjectText("object")) != `{"inner":7}` || in.ObjectText("empty") != nil || len(in.Texts("list")) != 2 || in.Texts("none") != nil {
		t.Error("good members read wrong")
	}
	if !c.OK() {
		t.Errorf("problems with good members: %v", c.Err())
	}
	in.Text("number")
	in.Bool("text")
	in.ID("badID")
	in.ID("zero")
	in.Object("object").Text("inner")
	in.Object("notObject")
	in.ObjectText("notObject")
	in.Texts("mixed")
	in.List("notList")
	in.Required("text", "null")
	want := []string{
		"number must be text", "text must be true or false", "badID must be an id: a whole number", "zero must be an id: a whole number",
		"object.inner must be text", "notObject must be an object", "notObject must be an object", "mixed.1 must be text", "mixed.2 must be text",
		"notList must be a list", "null is required",
	}
	var got []string
	for _, p := range c.Problems() {
		got = append(got, p.Field()+" "+p.Message)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("problems:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, empty := range []string{"", "null", "[]", " [ ] "} {
		var c model.Check
		if rest.Object(json.RawMessage(empty), &c).Has("x") || !c.OK() {
			t.Errorf("%q is not an absent object: %v", empty, c.Err())
		}
	}
}

func TestOnce(t *testing.T) {
	t.Parallel()
	caller := auth.Caller{Kind: auth.Secret}
	once := func(body string, keys ...string) (model.Once, error) {
		r := httptest.NewRequest("POST", "/v3/notifications", nil)
		r.Header["Idempotency-Key"] = keys
		return rest.Once(r, caller, "sendNotification", json.RawMessage(body))
	}
	a, _ := once(`{"a":1,"b":2}`, "k")
	b, _ := once(`{"b":2, "a":1}`, "k")
	other, _ := once(`{"a":1,"b":3}`, "k")
	if !a.Set() || a != b || a == other {
		t.Errorf("%+v, %+v, %+v", a, b, other)
	}
	if none, err := once(`{}`); none.Set() || err != nil {
		t.Errorf("no key: %+v %v", none, err)
	}
	for _, keys := range [][]string{{""}, {"a", "a"}, {strings.Repeat("k", 300)}} {
		if _, err := once(`{}`, keys...); model.KindOf(err) != model.KindInvalid {
			t.Errorf("keys %q: %v", keys, err)
		}
	}
}
