package graph

import (
	"os"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// TestListsGiveWayToWhatIsMoreUrgent finds the lists of applications in the
// schema. Settings, of which there are few, may be as urgent as anything.
func TestListsGiveWayToWhatIsMoreUrgent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	few := map[string]bool{"templates": true, "layouts": true, "suppressions": true}
	for _, f := range schema.Query.Fields {
		if f.Arguments.ForName("first") != nil && forApplications["Query."+f.Name] && !few[f.Name] && !searching[f.Name] {
			t.Errorf("%s is as urgent as what a person waits for", f.Name)
		}
	}
	for name := range searching {
		if schema.Query.Fields.ForName(name) == nil {
			t.Errorf("%s is not in the schema", name)
		}
	}
}
