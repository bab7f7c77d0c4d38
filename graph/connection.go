package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/internal/cursor"
	"carillon/model"
)

// The kinds of page cursor. A cursor of one list means nothing to another.
const (
	pageUsersByTime = 'u'
	pageUsersByName = 'i'
	pageUsersSigned = 'j'
	pageUsersSeen   = 'v'
	pageUsersMail   = 'a'
	pageLog         = 'n'
	pageSends       = 's'
	pageScheduled   = 'p'
	pageInbox       = 'b'
	pageTopics      = 't'
	pageTemplates   = 'l'
	pageLayouts     = 'f'
	pageUserTopics  = 'o'
	pageSubscribers = 'm'
	pageEvents      = 'e'
	pageDeliveries  = 'd'
	pageSuppressed  = 'x'
	pageSegments    = 'g'
	pageMembers     = 'k'
	pageWebhooks    = 'w'
)

// pageArgs are the four arguments of a connection, as given.
type pageArgs struct {
	first  *int32
	after  *string
	last   *int32
	before *string
}

// request checks the arguments: first with after, or last with before, 1 to
// 100 rows, and 20 from the start when neither is given.
func (a pageArgs) request(kind byte) (model.PageRequest, error) {
	var check model.Check
	req := model.PageRequest{Limit: model.DefaultPage}
	limit := func(n *int32, name string) {
		if n != nil {
			check.That(*n >= 1 && *n <= model.MaxPage, "must be between 1 and 100", name)
			req.Limit = int(*n)
		}
	}
	place := func(s *string, name string) *model.PageKey {
		if s == nil {
			return nil
		}
		key, err := cursor.DecodePage(kind, *s)
		if err != nil || (kind == pageDeliveries || kind == pageSuppressed || kind == pageWebhooks) && !view.IsTextID(key.Text) {
			check.That(false, "must be a cursor that this list gave out", name)
		}
		return &key
	}
	limit(a.first, "first")
	limit(a.last, "last")
	req.Backward = a.last != nil
	check.That(a.first == nil || a.last == nil, "cannot be given together with first", "last")
	check.That(a.after == nil || a.last == nil, "goes with first; with last, give before", "after")
	check.That(a.before == nil || a.last != nil, "goes with last; with first, give after", "before")
	req.After, req.Before = place(a.after, "after"), place(a.before, "before")
	return req, check.Err()
}

// withoutDefault forgets a first that is only the schema's default, so that
// last alone pages backward.
func (a pageArgs) withoutDefault(ctx context.Context) pageArgs {
	if a.last != nil && !given(ctx, "first") {
		a.first = nil
	}
	return a
}

// given reports whether the running field was given an argument, as opposed to
// the schema's default for it.
func given(ctx context.Context, name string) bool {
	field := graphql.GetFieldContext(ctx)
	if field == nil || field.Field.Field == nil {
		return false
	}
	arg := field.Field.Arguments.ForName(name)
	if arg == nil {
		return false
	}
	if arg.Value.Kind != ast.Variable {
		return true
	}
	_, ok := graphql.GetOperationContext(ctx).Variables[arg.Value.Raw]
	return ok
}

// asks reports whether the running field's selection holds a field of that
// name.
func asks(ctx context.Context, name string) bool {
	for _, f := range graphql.CollectFieldsCtx(ctx, nil) {
		if f.Name == name {
			return true
		}
	}
	return false
}

// rows are a page's nodes with what the connection says about them.
type rows[N any] struct {
	nodes   []N
	cursors []string
	info    *generated.PageInfo
}

// pageOf shows a page. node and key give a row's node and its place.
func pageOf[T, N any](kind byte, req model.PageRequest, items []T, more bool, nodes []N, key func(*T) model.PageKey) rows[N] {
	r := rows[N]{nodes: nodes, cursors: make([]string, len(items)), info: &generated.PageInfo{}}
	for i := range items {
		r.cursors[i] = cursor.EncodePage(kind, key(&items[i]))
	}
	if req.Backward {
		r.info.HasPreviousPage = more
	} else {
		r.info.HasNextPage = more
	}
	if n := len(r.cursors); n > 0 {
		r.info.StartCursor, r.info.EndCursor = &r.cursors[0], &r.cursors[n-1]
	}
	return r
}

// reach makes the place up to which was looked an end of the page; nil: it ends
// with its last row.
func (r *rows[N]) reach(kind byte, req model.PageRequest, reached *model.PageKey) {
	if reached == nil {
		return
	}
	c := cursor.EncodePage(kind, *reached)
	if req.Backward {
		r.info.StartCursor = &c
	} else {
		r.info.EndCursor = &c
	}
}

// edges puts each node beside its cursor.
func edges[N, E any](r rows[N], edge func(cursor string, node N) *E) []*E {
	out := make([]*E, len(r.nodes))
	for i, n := range r.nodes {
		out[i] = edge(r.cursors[i], n)
	}
	return out
}
