package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/internal/reqlog"
	"carillon/model"
)

// codeBadInput is the code of an error that the caller mends by changing an
// argument.
const codeBadInput = "BAD_USER_INPUT"

// code is the extensions.code of a kind.
func code(k model.Kind) string {
	switch k {
	case model.KindInvalid:
		return codeBadInput
	case model.KindVersionConflict:
		return string(model.KindConflict)
	default:
		return string(k)
	}
}

// present turns what went wrong into what the client sees: a message for a
// person, extensions.code for a program, and the problems one by one. An error
// nobody classified is logged whole and shown as a request id and nothing else.
//
// gqlgen has already put a resolver's error into out.Err and its text into
// out.Message, so that text must go before the client sees it.
func present(ctx context.Context, log *slog.Logger, err error) *gqlerror.Error {
	found := graphql.DefaultErrorPresenter(ctx, err)
	if found.Extensions["code"] != nil {
		return found // the engine's own: the operation does not parse, validate or fit
	}
	out := &gqlerror.Error{Path: found.Path, Locations: found.Locations, Err: err}
	e, ok := errors.AsType[*model.Error](err)
	switch {
	case ok && e.Kind == model.KindUnavailable && e.Err != nil:
		log.WarnContext(ctx, "resolver", "request", reqlog.ID(ctx), "path", out.Path.String(), "error", err)
	case ok && e.Kind != model.KindInternal:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e = &model.Error{Kind: model.KindUnavailable, Message: "the request took too long or was given up", RetryAfter: time.Second}
	default:
		log.ErrorContext(ctx, "resolver", "request", reqlog.ID(ctx), "path", out.Path.String(), "error", err)
		out.Message = "internal error"
		out.Extensions = map[string]any{"code": string(model.KindInternal), "requestId": reqlog.ID(ctx)}
		return out
	}
	problems := e.Problems
	if e.Kind == model.KindInvalid && len(problems) == 0 {
		problems = []model.Problem{leafProblem(ctx, out, e.Message)}
	}
	out.Message, out.Extensions = sentence(e.Message, problems), map[string]any{"code": code(e.Kind)}
	if len(problems) > 0 {
		out.Extensions["problems"] = shown(problems)
	}
	if e.RetryAfter > 0 {
		out.Extensions["retryAfterSeconds"] = int(math.Ceil(e.RetryAfter.Seconds()))
	}
	return out
}

// leafProblem says which argument a scalar or enum disliked. gqlgen has put
// the way into the argument behind the path of the field, where the
// specification wants the field alone.
func leafProblem(ctx context.Context, out *gqlerror.Error, message string) model.Problem {
	p := model.Problem{Code: model.ProblemInvalid, Path: []string{}, Message: message}
	field := graphql.GetFieldContext(ctx)
	if field == nil {
		return p
	}
	to := field.Path()
	if len(out.Path) <= len(to) {
		return p
	}
	for _, step := range out.Path[len(to):] {
		switch step := step.(type) {
		case ast.PathName:
			p.Path = append(p.Path, string(step))
		case ast.PathIndex:
			p.Path = append(p.Path, strconv.Itoa(int(step)))
		}
	}
	out.Path = to
	return p
}

// sentence is the message with what must be mended, or the message alone.
func sentence(message string, problems []model.Problem) string {
	if len(problems) == 0 {
		return message
	}
	parts := make([]string, len(problems))
	for i, p := range problems {
		parts[i] = strings.TrimSpace(p.Field() + " " + p.Message)
	}
	return strings.Join(parts, "; ")
}

func shown(problems []model.Problem) []map[string]any {
	out := make([]map[string]any, len(problems))
	for i, p := range problems {
		path := p.Path
		if path == nil {
			path = []string{}
		}
		out[i] = map[string]any{"code": p.Code, "path": path, "message": p.Message}
	}
	return out
}

// recovered turns a panic into an error that present logs and hides.
func recovered(_ context.Context, p any) error {
	return &model.Error{Kind: model.KindInternal, Message: "panic", Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
}

// refused sorts the error of a mutation: what the caller is expected to meet
// goes to userErrors, in the order it was found; the rest is returned.
func refused(err error, userErrors *[]*model.Problem) (stop bool, unexpected error) {
	if err == nil {
		return false, nil
	}
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		return true, err
	}
	var whole model.ProblemCode // instead of each problem's own
	switch e.Kind {
	case model.KindInvalid, model.KindNotFound, model.KindConflict:
	case model.KindVersionConflict, model.KindKeyReused, model.KindKeyInProgress, model.KindLimit:
		whole = model.ProblemCode(e.Kind)
	case model.KindUnauthenticated, model.KindForbidden, model.KindRateLimited, model.KindUnavailable, model.KindInternal:
		return true, err
	}
	problems := e.Problems
	if len(problems) == 0 {
		problems = []model.Problem{{Code: codeOf(e.Kind), Message: e.Message}}
	}
	for _, p := range problems {
		if whole != "" {
			p.Code = whole
		}
		*userErrors = append(*userErrors, &p)
	}
	return true, nil
}

// codeOf is the user error code of an error without problems of its own.
func codeOf(k model.Kind) model.ProblemCode { return model.ProblemCode(k) }

// pointers is problems as payloads hold them.
func pointers(problems []model.Problem) []*model.Problem {
	out := make([]*model.Problem, len(problems))
	for i := range problems {
		out[i] = &problems[i]
	}
	return out
}

// unknownUser is what a caller hears of a user who is not there, and of one
// who is not theirs: the same.
func unknownUser(path ...string) error {
	return model.NotFound("names no user in this environment", path...)
}

// unknownID is the same for anything named by an opaque id.
func unknownID(path ...string) error {
	return model.NotFound("names nothing in this environment", path...)
}
