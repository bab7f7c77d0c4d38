package plan_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"carillon/graph/plan"
)

func compiled(t *testing.T, query string) *plan.Plan {
	t.Helper()
	text, err := os.ReadFile("../../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	doc, errs := gqlparser.LoadQueryWithRules(schema, query, rules.NewDefaultRules())
	if errs != nil {
		t.Fatalf("%s: %v", query, errs)
	}
	return plan.Compile(doc.Operations[0])
}

// TestCompile says which operations are planned. All others are executed, so a
// plan too few is only slow; that one is not there for what it does not know is
// held by the comparison with execution in package graph.
func TestCompile(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]bool{
		`{ viewer { user { inbox { nodes { id title } counters { unread } } } } }`:                true,
		`query ($u: String!, $n: Int) { user(identifier: $u) { inbox(first: $n) { position } } }`: true,
		`{ viewer { user { ...F } } } fragment F on User { inbox { edges { node { data } } } }`:   true,
		`subscription { inbox { position added { id blocks { text } } changed { id } removed } }`: true,
		`subscription { inbox(after: "x", categories: ["a"]) { counters { unread } } }`:           true,
		`{ viewer { user { inbox { nodes { id @include(if: true) } } } } }`:                       false,
		`{ viewer { user { inbox { ... @skip(if: false) { position } } } } }`:                     false,
		`{ viewer { user { inbox(filter: {archived: true}) { position } } } }`:                    false,
		`{ viewer { user { inbox { nodes { category { name } } } } } }`:                           false,
		`{ viewer { user { a: inbox { position } b: inbox { position } } } }`:                     false,
		`{ viewer { user { inbox { position } } } categories { name } }`:                          false,
		`{ viewer { user { id } } }`: false,
		`{ a: viewer { user { inbox { position } } } b: viewer { user { inbox { position } } } }`:     false,
		`mutation { markAllNotifications(input: {as: READ}) { affected } }`:                           false,
		`subscription { inbox { added { id send { id } } } }`:                                         false,
		`subscription ($id: ID!) { sendProgress(id: $id) { id } }`:                                    false,
		`{ ...Q } fragment Q on Query { viewer { user { inbox { nodes { ... on Node { id } } } } } }`: false,
	} {
		if got := compiled(t, query) != nil; got != want {
			t.Errorf("%s: planned %t, want %t", query, got, want)
		}
	}
}

// TestPlansOfLargeDocumentsStaySmall makes a document whose fragments double.
func TestPlansOfLargeDocumentsStaySmall(t *testing.T) {
	t.Parallel()
	query := `{ viewer { user { inbox { nodes { ...F0 } } } } } fragment F12 on Notification { id }`
	for i := range 12 {
		query += fmt.Sprintf(` fragment F%d on Notification { ...F%[2]d ...F%[2]d }`, i, i+1)
	}
	if p := compiled(t, query); p != nil {
		t.Errorf("a plan of %d bytes was made", p.Size())
	}
}
