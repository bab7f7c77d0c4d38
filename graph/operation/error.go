package operation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/model"
)

// The codes in extensions.code that do not come from a [model.Kind].
const (
	CodeParseFailed      = "GRAPHQL_PARSE_FAILED"          // the document is not GraphQL
	CodeValidationFailed = "GRAPHQL_VALIDATION_FAILED"     // it does not fit the schema
	CodeBadUserInput     = "BAD_USER_INPUT"                // a variable, an argument or the request around the document
	CodeTooComplex       = "QUERY_TOO_COMPLEX"             // over a limit of [Limits]
	CodeTooLarge         = "PAYLOAD_TOO_LARGE"             // more bytes than are read
	CodePersistedQuery   = "PERSISTED_QUERY_NOT_SUPPORTED" // asked for by hash; send the document
)

// maxMessage bounds the message of an error, which may quote the document.
const maxMessage = 300 // bytes

// persistedQueryMessage is what Apollo's client looks for before it sends the
// document instead of its hash.
const persistedQueryMessage = "PersistedQueryNotSupported"

// NewError makes an error with a code and a message for the caller.
func NewError(code, format string, args ...any) *gqlerror.Error {
	return &gqlerror.Error{Message: shorten(fmt.Sprintf(format, args...)), Extensions: map[string]any{"code": code}}
}

// CodeOf is the extensions.code of an error; empty when it has none.
func CodeOf(err *gqlerror.Error) string {
	switch code := err.Extensions["code"].(type) {
	case string:
		return code
	case model.Kind:
		return string(code)
	default:
		return ""
	}
}

func refuse(code, format string, args ...any) gqlerror.List {
	return gqlerror.List{NewError(code, format, args...)}
}

// coded puts a code on errors that the parser or the validator made.
func coded(code string, errs ...*gqlerror.Error) gqlerror.List {
	for _, err := range errs {
		err.Message = shorten(err.Message)
		err.Extensions = map[string]any{"code": code}
	}
	return errs
}

// shorten cuts a message, for a name in the document may have any length.
func shorten(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	cut := maxMessage
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Present is the error presenter of an engine that is given none: it shows a
// *model.Error by its kind and everything else as nothing but INTERNAL.
func Present(ctx context.Context, err error) *gqlerror.Error {
	found := graphql.DefaultErrorPresenter(ctx, err)
	if found.Extensions["code"] != nil {
		return found
	}
	out := &gqlerror.Error{Path: found.Path, Locations: found.Locations, Err: err}
	e, ok := errors.AsType[*model.Error](err)
	if !ok || e.Kind == model.KindInternal {
		e = &model.Error{Kind: model.KindInternal, Message: "internal error"}
	}
	code := string(e.Kind)
	if e.Kind == model.KindInvalid {
		code = CodeBadUserInput
	}
	message := []string{e.Message}
	for _, p := range e.Problems {
		message = append(message, strings.TrimSpace(p.Field()+" "+p.Message))
	}
	out.Message, out.Extensions = shorten(strings.Join(message, ": ")), map[string]any{"code": code}
	if e.RetryAfter > 0 {
		out.Extensions["retryAfterSeconds"] = int(math.Ceil(e.RetryAfter.Seconds()))
	}
	return out
}

// Recover is the recover function of an engine that is given none: the panic
// becomes an error of kind INTERNAL, whose text stays in the process.
func Recover(_ context.Context, panicked any) error {
	return &model.Error{Kind: model.KindInternal, Message: "internal error", Err: fmt.Errorf("panic: %v", panicked)}
}
