package graph

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/internal/cursor"
	"carillon/model"
)

func TestPageArguments(t *testing.T) {
	t.Parallel()
	n := func(i int32) *int32 { return &i }
	key := model.PageKey{At: time.Unix(5, 0).UTC(), ID: 7}
	mine, others, junk := cursor.EncodePage(pageSends, key), cursor.EncodePage(pageInbox, key), "junk"
	tests := []struct {
		name string
		in   pageArgs
		want model.PageRequest
		bad  []string // the arguments that are named
	}{
		{"Nothing", pageArgs{}, model.PageRequest{Limit: 20}, nil},
		{"First", pageArgs{first: n(100)}, model.PageRequest{Limit: 100}, nil},
		{"FirstAfter", pageArgs{first: n(1), after: &mine}, model.PageRequest{Limit: 1, After: &key}, nil},
		{"AfterAlone", pageArgs{after: &mine}, model.PageRequest{Limit: 20, After: &key}, nil},
		{"Last", pageArgs{last: n(3)}, model.PageRequest{Limit: 3, Backward: true}, nil},
		{"LastBefore", pageArgs{last: n(3), before: &mine}, model.PageRequest{Limit: 3, Backward: true, Before: &key}, nil},
		{"Zero", pageArgs{first: n(0)}, model.PageRequest{}, []string{"first"}},
		{"Negative", pageArgs{last: n(-1)}, model.PageRequest{}, []string{"last"}},
		{"TooMany", pageArgs{first: n(101)}, model.PageRequest{}, []string{"first"}},
		{"BothEnds", pageArgs{first: n(1), last: n(1)}, model.PageRequest{}, []string{"last"}},
		{"AfterWithLast", pageArgs{last: n(1), after: &mine}, model.PageRequest{}, []string{"after"}},
		{"BeforeWithFirst", pageArgs{first: n(1), before: &mine}, model.PageRequest{}, []string{"before"}},
		{"BeforeAlone", pageArgs{before: &mine}, model.PageRequest{}, []string{"before"}},
		{"CursorOfAnotherList", pageArgs{after: &others}, model.PageRequest{}, []string{"after"}},
		{"Junk", pageArgs{last: n(1), before: &junk}, model.PageRequest{}, []string{"before"}},
		{"All", pageArgs{first: n(0), last: n(200), before: &junk}, model.PageRequest{}, []string{"first", "last", "last", "before"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.in.request(pageSends)
			var bad []string
			if e, ok := errors.AsType[*model.Error](err); ok {
				for _, p := range e.Problems {
					bad = append(bad, p.Field())
				}
			}
			if !slices.Equal(bad, tt.bad) {
				t.Fatalf("error %v names %v, want %v", err, bad, tt.bad)
			}
			if err == nil && !sameRequest(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestEachListHasCursorsOfItsOwn reads the constants where they stand, so that a
// new one is among them.
func TestEachListHasCursorsOfItsOwn(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "connection.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		constant, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(constant.Names[0].Name, "page") {
			return true
		}
		letter := constant.Values[0].(*ast.BasicLit).Value
		if other := kinds[letter]; other != "" {
			t.Errorf("%s and %s are both %s", other, constant.Names[0].Name, letter)
		}
		kinds[letter] = constant.Names[0].Name
		return true
	})
	if kinds["'u'"] != "pageUsersByTime" {
		t.Errorf("found %v", kinds)
	}
}

func sameRequest(a, b model.PageRequest) bool {
	same := func(a, b *model.PageKey) bool { return (a == nil) == (b == nil) && (a == nil || *a == *b) }
	return a.Limit == b.Limit && a.Backward == b.Backward && same(a.After, b.After) && same(a.Before, b.Before)
}
