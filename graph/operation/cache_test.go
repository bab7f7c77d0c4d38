package operation_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"carillon/graph/operation"
)

func TestDocumentsAreBoundedByBytes(t *testing.T) {
	t.Parallel()
	const limit = 256 << 10
	e := engine(func(c *operation.Config) { c.CacheBytes, c.CacheDocument = limit, 2000 })
	for i := range 2000 {
		if got := ask(t, e, fmt.Sprintf(`{ hello(name: "%d") }`, i), ""); code(t, got) != "" {
			t.Fatal(got)
		}
		if documents, bytes := e.Documents(); bytes > limit || documents > i+1 {
			t.Fatalf("%d documents of %d bytes are remembered, the limit is %d bytes", documents, bytes, limit)
		}
	}
	documents, bytes := e.Documents()
	if documents < 50 || bytes < limit/2 {
		t.Errorf("only %d documents of %d bytes are remembered", documents, bytes)
	}
}

func TestLongAndRefusedDocumentsAreNotRemembered(t *testing.T) {
	t.Parallel()
	e := engine(func(c *operation.Config) { c.CacheDocument = 2000 })
	for _, query := range []string{`{ hello } #` + strings.Repeat("x", 2000), `{ nothing }`, `{ hello `} {
		ask(t, e, query, "")
	}
	if documents, bytes := e.Documents(); documents != 0 || bytes != 0 {
		t.Errorf("%d documents of %d bytes are remembered", documents, bytes)
	}
}

func TestTheSameTextWithAnotherOperationIsAnotherDocument(t *testing.T) {
	t.Parallel()
	e := engine()
	const query = `query A($n: Int = 1) { ...F } query B($n: Int = 2) { ...F } fragment F on Query { number(n: $n) }`
	for range 2 {
		for name, want := range map[string]string{"A": `{"data":{"number":1}}`, "B": `{"data":{"number":2}}`} {
			if got := answer(t, e, operation.Params{Query: query, OperationName: name}); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
	}
	// A variable of A has no default, although one of B by the same name has.
	const shared = `query A($v: JSON) { ...F } query B($v: JSON = "b") { ...F } fragment F on Query { echo(value: {v: $v}) }`
	got := answer(t, e, operation.Params{Query: shared, OperationName: "A"})
	if want := `{"data":{"echo":{}}}`; strings.ReplaceAll(got, "\n", "") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestIntrospectionIsAnsweredFromMemory(t *testing.T) {
	t.Parallel()
	e := engine()
	const query = `{ __schema { types { name fields { name } } } }`
	_, before := e.Documents()
	first := ask(t, e, query, "")
	_, after := e.Documents()
	if after-before < len(first) {
		t.Errorf("an answer of %d bytes is not counted: %d bytes before, %d after", len(first), before, after)
	}
	if second := ask(t, e, query, ""); second != first || code(t, first) != "" {
		t.Errorf("got %.200s, then %.200s", first, second)
	}
}

// TestDocumentWeight compares what a document is counted for with what it
// takes: counting too little would let the cache outgrow its bound.
func TestDocumentWeight(t *testing.T) {
	const n = 400
	fields := strings.Repeat("{ user(id: 1) { ...F boss { a: id devices { owner { name } } } } } ", 1)
	query := func(i int) operation.Params {
		return operation.Params{Query: fmt.Sprintf("query Q%d %s fragment F on User { name tags friends(first: %d) { nodes { id } } }", i, fields, i+1)}
	}
	e := engine(func(c *operation.Config) { c.CacheBytes = 64 << 20 })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range n {
		if _, errs := e.Prepare(t.Context(), query(i%100)); errs != nil {
			t.Fatal(errs)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	documents, counted := e.Documents()
	taken := int(after.HeapAlloc - before.HeapAlloc)
	t.Logf("%d documents: counted %d bytes each, take %d", documents, counted/documents, taken/documents)
	if taken > 2*counted {
		t.Errorf("documents take %d bytes and are counted as %d", taken, counted)
	}
	runtime.KeepAlive(e)
}
