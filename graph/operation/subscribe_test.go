package operation_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"carillon/graph/internal/testschema"
	"carillon/graph/operation"
	"carillon/model"
)

func subscribe(t *testing.T, e *operation.Engine, p operation.Params, wake func()) *operation.Stream {
	t.Helper()
	o, errs := e.Prepare(t.Context(), p)
	if errs != nil {
		t.Fatal(errs)
	}
	s, errs := e.Subscribe(t.Context(), o, wake)
	if errs != nil {
		t.Fatal(errs)
	}
	return s
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	var feed testschema.Feed
	e := engine(func(c *operation.Config) { c.Subscriptions = feed.Opens() })
	p := operation.Params{Query: `subscription($to: Int) { counter(to: $to) { at: n } }`}
	if err := p.DecodeVariables([]byte(`{"to":2}`)); err != nil {
		t.Fatal(err)
	}
	woken := 0
	s := subscribe(t, e, p, func() { woken++ })

	next := func() (string, string, bool, error) {
		answer, id, ok, err := s.Next(t.Context())
		return string(answer), id, ok, err
	}
	if answer, _, ok, err := next(); ok || err != nil {
		t.Fatalf("before there is anything: %s, %t, %v", answer, ok, err)
	}
	feed.Advance(3)
	if woken != 1 {
		t.Errorf("woken %d times, want once", woken)
	}
	for i, want := range []string{`{"data":{"counter":{"at":1}}}`, `{"data":{"counter":{"at":2}}}`} {
		if answer, id, ok, err := next(); answer != want || !ok || err != nil || id != string(rune('1'+i)) {
			t.Errorf("event %d: %s, %q, %t, %v, want %s", i+1, answer, id, ok, err, want)
		}
	}
	if _, _, ok, err := next(); ok || !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %t, %v, want io.EOF", ok, err)
	}
	s.Close()
	if feed.Len() != 0 {
		t.Error("the source is still open")
	}
}

func TestLastEventIDBeatsTheArgument(t *testing.T) {
	t.Parallel()
	var feed testschema.Feed
	feed.Advance(10)
	e := engine(func(c *operation.Config) { c.Subscriptions = feed.Opens() })
	s := subscribe(t, e, operation.Params{Query: `subscription { counter(after: "3") { n } }`, LastEventID: "7"}, func() {})
	if answer, id, _, _ := s.Next(t.Context()); id != "8" {
		t.Errorf("resumed at %s: %s, want 8", id, answer)
	}
}

func TestSubscribersThatWaitHaveNoGoroutine(t *testing.T) {
	var feed testschema.Feed
	e := engine(func(c *operation.Config) { c.Subscriptions = feed.Opens() })
	before := runtime.NumGoroutine()
	const n = 100
	streams := make([]*operation.Stream, n)
	for i := range streams {
		streams[i] = subscribe(t, e, operation.Params{Query: `subscription { counter { n text } }`}, func() {})
	}
	feed.Advance(2)
	for _, s := range streams {
		for range 2 {
			if _, _, ok, err := s.Next(t.Context()); !ok || err != nil {
				t.Fatal(ok, err)
			}
		}
	}
	if after := runtime.NumGoroutine(); after > before+5 {
		t.Errorf("%d goroutines more for %d subscribers", after-before, n)
	}
}

func TestSubscriptionsFail(t *testing.T) {
	t.Parallel()
	var feed testschema.Feed
	e := engine(func(c *operation.Config) {
		c.Subscriptions = feed.Opens()
		delete(c.Subscriptions, "nothing")
	})
	for query, want := range map[string]string{
		`subscription { broken(how: "forbidden") { n } }`: "FORBIDDEN",
		`subscription { broken(how: "bug") { n } }`:       "INTERNAL",
		`subscription { broken(how: "panic") { n } }`:     "INTERNAL",
		`subscription { counter(after: "x") { n } }`:      "BAD_USER_INPUT",
		`{ hello }`: "GRAPHQL_VALIDATION_FAILED",
	} {
		o, errs := e.Prepare(t.Context(), operation.Params{Query: query})
		if errs != nil {
			t.Fatal(errs)
		}
		_, errs = e.Subscribe(t.Context(), o, func() {})
		if errs == nil || operation.CodeOf(errs[0]) != want {
			t.Errorf("%s: %v, want %s", query, errs, want)
		}
	}
	for _, query := range []string{
		`subscription { __typename }`,
		`subscription { counter { n } broken(how: "") { n } }`,
		`subscription { a: counter { n } b: counter { n } }`,
	} {
		o, errs := e.Prepare(t.Context(), operation.Params{Query: query})
		if errs != nil {
			continue
		}
		s, errs := e.Subscribe(t.Context(), o, func() {})
		if errs != nil {
			continue
		}
		feed.Advance(1)
		if answer, _, _, err := s.Next(t.Context()); err == nil && code(t, string(answer)) == "" {
			t.Errorf("%s is answered: %s", query, answer)
		}
	}
	s := subscribe(t, e, operation.Params{Query: `subscription { broken(how: "next:unavailable") { n } }`}, func() {})
	if _, _, _, err := s.Next(t.Context()); model.KindOf(err) != model.KindUnavailable {
		t.Errorf("a source that fails: %v, want its error", err)
	}
	s = subscribe(t, e, operation.Params{Query: `subscription { broken(how: "next:panic") { n } }`}, func() {})
	if _, _, _, err := s.Next(t.Context()); model.KindOf(err) != model.KindInternal {
		t.Errorf("a source that panics: %v, want INTERNAL", err)
	}
}

// shared answers every event, and every query, with the same bytes.
type shared struct{}

func (shared) Encode(o *operation.Operation, event any) ([]byte, bool) {
	return []byte(`{"data":"` + o.Name() + `"}`), event.(*testschema.Count).N == 1
}

func (shared) Answer(_ context.Context, o *operation.Operation) ([]byte, bool) {
	return []byte(`"` + o.Compiled().(string) + `"`), o.Name() == "Short"
}

func TestShortcutAnswersWhatWasCompiled(t *testing.T) {
	t.Parallel()
	compiled := 0
	e := engine(func(c *operation.Config) {
		c.Shortcut = shared{}
		c.Compile = func(op *ast.OperationDefinition) any {
			if compiled++; op.Name == "Never" {
				return nil
			}
			return "made of " + op.Name
		}
	})
	const document = `query Short { hello } query Long { hello } query Never { hello }`
	for range 2 {
		for name, want := range map[string]string{"Short": `{"data":"made of Short"}`, "Long": `{"data":{"hello":"hello world"}}`, "Never": `{"data":{"hello":"hello world"}}`} {
			if got := answer(t, e, operation.Params{Query: document, OperationName: name}); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	if compiled != 3 {
		t.Errorf("compiled %d times, want once for each operation", compiled)
	}
}

func TestShortcutComesBeforeExecution(t *testing.T) {
	t.Parallel()
	var feed testschema.Feed
	feed.Advance(2)
	e := engine(func(c *operation.Config) { c.Subscriptions, c.Shortcut = feed.Opens(), shared{} })
	s := subscribe(t, e, operation.Params{Query: `subscription S { counter { n } }`}, func() {})
	for _, want := range []string{`{"data":"S"}`, `{"data":{"counter":{"n":2}}}`} {
		if answer, _, _, _ := s.Next(t.Context()); string(answer) != want {
			t.Errorf("got %s, want %s", answer, want)
		}
	}
}

func TestExecutionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	e := engine()
	o, errs := e.Prepare(t.Context(), operation.Params{Query: `{ slow hello }`})
	if errs != nil {
		t.Fatal(errs)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	got := string(e.Execute(ctx, o).AppendJSON(nil))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
	if code(t, got) != "UNAVAILABLE" {
		t.Errorf("got %s, want UNAVAILABLE and no data", got)
	}
}

func TestIdempotencyKeyIsForOneMutation(t *testing.T) {
	t.Parallel()
	e := engine()
	const one = `rename(input: {id: 1, name: "x"}) { key }`
	for query, want := range map[string]string{
		`mutation { ` + one + ` }`:               `{"data":{"rename":{"key":"k"}}}`,
		`mutation { ` + one + ` b:` + one + ` }`: `{"data":{"rename":{"key":""},"b":{"key":""}}}`,
	} {
		if got := answer(t, e, operation.Params{Query: query, IdempotencyKey: "k"}); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func TestSimpleRequestsMayOnlyAskAboutTheSchema(t *testing.T) {
	t.Parallel()
	e := engine()
	for query, want := range map[string]string{
		`{ __typename __schema { queryType { name } } }`: "",
		`{ hello }`: "FORBIDDEN",
		`{ __typename ...F } fragment F on Query { hello }`: "FORBIDDEN",
	} {
		if got := answer(t, e, operation.Params{Query: query, Simple: true}); code(t, got) != want {
			t.Errorf("%s: %s, want the code %q", query, got, want)
		}
	}
	if got := answer(t, e, operation.Params{PersistedQuery: true}); code(t, got) != "PERSISTED_QUERY_NOT_SUPPORTED" {
		t.Errorf("a hash: %s", got)
	}
}
