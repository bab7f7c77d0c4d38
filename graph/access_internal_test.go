package graph

import (
	"os"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"carillon/auth"
	"carillon/model"
)

// TestAccessIsWhatTheSchemaSays compares who may use a root field with the
// field's description, which is what callers read.
func TestAccessIsWhatTheSchemaSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../schema.graphqls")
	if err != nil {
		t.Fatal(err)
	}
	s, err := gqlparser.LoadSchema(&ast.Source{Input: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, d := range []*ast.Definition{s.Query, s.Mutation, s.Subscription} {
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			at := d.Name + "." + f.Name
			known[at] = true
			secret := strings.HasSuffix(f.Description, "Secret key only.")
			if secret != forApplications[at] {
				t.Errorf("%s: description says secret key only: %t, code says %t", at, secret, forApplications[at])
			}
			checkAuthorize(t, at, secret)
		}
	}
	for at := range forApplications {
		if !known[at] {
			t.Errorf("%s is not in the schema", at)
		}
	}
}

func checkAuthorize(t *testing.T, at string, secret bool) {
	t.Helper()
	userKind := model.Kind("")
	if secret {
		userKind = model.KindForbidden
	}
	user := auth.WithCaller(t.Context(), auth.Caller{Kind: auth.User, User: "ada", UserID: 1})
	key := auth.WithCaller(t.Context(), auth.Caller{Kind: auth.Secret})
	if got := model.KindOf(authorize(t.Context(), at)); got != model.KindUnauthenticated {
		t.Errorf("%s without a credential: %q, want UNAUTHENTICATED", at, got)
	}
	if got := model.KindOf(authorize(user, at)); got != userKind {
		t.Errorf("%s as a user: %q, want %q", at, got, userKind)
	}
	if err := authorize(key, at); err != nil {
		t.Errorf("%s with a secret key: %v", at, err)
	}
}
