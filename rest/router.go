package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"carillon/internal/reqlog"
)

// Router sends requests to the routes of the dialects, and what no dialect owns
// to Next. Routes are added before the first request; the zero Router has none.
type Router struct {
	Next http.Handler

	root node
}

// node is a place in the tree of paths.
type node struct {
	literal map[string]*node
	param   *node // any segment
	prefix  []prefixed
	routes  map[string]*Route // by method
	owner   *Surface          // of everything below, unless a place below has one of its own
}

// prefixed is a segment that begins with a text and goes on.
type prefixed struct {
	text string
	node *node
}

// Route is one method of one path.
type Route struct {
	surface *Surface
	pattern string
	params  []string
	access  Access
	handle  Handler
}

// Own makes the surface answer for every path that begins with the given one,
// such as "/v3", also where it has no route.
func (t *Router) Own(path string, s *Surface) {
	n := &t.root
	for _, segment := range splitPath(path) {
		n = n.child(segment)
	}
	n.owner = s
}

// Handle adds a route of a surface. A pattern is a method and a path, such as
// "GET /v3/users/{identifier}": a segment in braces takes any text, and one like
// "users{identifier}" what follows its beginning; both are found by
// [http.Request.PathValue]. Two routes for one method and path are a slip of
// the programmer's, and it panics.
func (t *Router) Handle(s *Surface, pattern string, access Access, h Handler) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		panic("rest: no method in " + pattern)
	}
	r := &Route{surface: s, pattern: s.Name + " " + path, access: access, handle: h}
	n := &t.root
	for _, segment := range splitPath(path) {
		if at := strings.IndexByte(segment, '{'); at >= 0 {
			r.params = append(r.params, strings.Trim(segment[at:], "{}"))
		}
		n = n.child(segment)
	}
	if n.routes == nil {
		n.routes = map[string]*Route{}
	}
	if n.routes[method] != nil {
		panic("rest: two routes for " + pattern)
	}
	n.routes[method] = r
}

// child is the place below n for a segment of a pattern.
func (n *node) child(segment string) *node {
	switch at := strings.IndexByte(segment, '{'); {
	case at == 0:
		if n.param == nil {
			n.param = &node{}
		}
		return n.param
	case at > 0:
		for _, p := range n.prefix {
			if p.text == segment[:at] {
				return p.node
			}
		}
		below := &node{}
		n.prefix = append(n.prefix, prefixed{segment[:at], below})
		return below
	}
	if n.literal == nil {
		n.literal = map[string]*node{}
	}
	if n.literal[segment] == nil {
		n.literal[segment] = &node{}
	}
	return n.literal[segment]
}

// splitPath is a path's segments; empty ones do not count.
func splitPath(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

// search is one walk through the tree.
type search struct {
	segments []string
	method   string
	values   []string // of the parameters on the way
	owner    *Surface
	depth    int      // of the owner: the longest path wins
	methods  []string // that some place for the path has
}

// find returns the route for the segments from i on.
func (s *search) find(n *node, i int) *Route {
	if n.owner != nil && (s.owner == nil || i > s.depth) {
		s.owner, s.depth = n.owner, i
	}
	if i == len(s.segments) {
		r := n.routes[s.method]
		if r == nil && s.method == http.MethodHead {
			r = n.routes[http.MethodGet]
		}
		for method := range n.routes {
			s.methods = append(s.methods, method)
		}
		return r
	}
	segment := s.segments[i]
	if below := n.literal[segment]; below != nil {
		if r := s.find(below, i+1); r != nil {
			return r
		}
	}
	for _, p := range n.prefix {
		if rest, ok := strings.CutPrefix(segment, p.text); ok && rest != "" {
			if r := s.through(p.node, i, rest); r != nil {
				return r
			}
		}
	}
	if n.param != nil {
		return s.through(n.param, i, segment)
	}
	return nil
}

func (s *search) through(n *node, i int, value string) *Route {
	s.values = append(s.values, value)
	if r := s.find(n, i+1); r != nil {
		return r
	}
	s.values = s.values[:len(s.values)-1]
	return nil
}

// ServeHTTP implements http.Handler.
func (t *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments, decodeErr := decodePath(r.URL)
	s := search{segments: segments, method: r.Method}
	route := s.find(&t.root, 0)
	switch {
	case route != nil && decodeErr == nil:
		for i, name := range route.params {
			r.SetPathValue(name, s.values[i])
		}
		route.surface.serve(w, r, route)
	case s.owner == nil:
		t.Next.ServeHTTP(w, r)
	default:
		reqlog.SetRoute(r.Context(), s.owner.Name+" other")
		s.owner.unrouted(w, r, s.methods, decodeErr)
	}
}

// decodePath takes a path apart and decodes each segment once.
func decodePath(u *url.URL) ([]string, error) {
	segments := splitPath(u.EscapedPath())
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return segments, &Error{Status: http.StatusBadRequest, Message: "the path is not percent-encoded correctly"}
		}
		segments[i] = decoded
	}
	return segments, nil
}

// unrouted answers what the surface owns and has no route for.
func (s *Surface) unrouted(w http.ResponseWriter, r *http.Request, methods []string, decodeErr error) {
	s.open(w.Header())
	slices.Sort(methods)
	methods = slices.Compact(methods)
	switch {
	case r.Method == http.MethodOptions:
		s.preflight(w, methods)
	case decodeErr != nil:
		s.fail(w, r, decodeErr)
	case len(methods) > 0:
		w.Header().Set("Allow", strings.Join(methods, ", ")+", OPTIONS")
		s.fail(w, r, &Error{
			Status:  http.StatusMethodNotAllowed,
			Message: fmt.Sprintf("this path takes %s, not %s", strings.Join(methods, ", "), methodName(r.Method)),
		})
	default:
		s.fail(w, r, &Error{Status: http.StatusNotFound, Message: "nothing is served at this path"})
	}
}

// methodName is a method as it may be shown.
func methodName(m string) string {
	if len(m) > 10 {
		return "that method"
	}
	return m
}

type routeKey struct{}

// Pattern is the route that a request came by, such as
// "engagespot /v3/users/{identifier}".
func Pattern(ctx context.Context) string {
	if r, ok := ctx.Value(routeKey{}).(*Route); ok {
		return r.pattern
	}
	return ""
}
