package graph

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/gqlerror"

	"carillon/model"
)

func TestPresent(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		err     error
		code    string
		message string
		logged  bool
	}{
		{"Invalid", invalid("must be 1 to 100", "first"), "BAD_USER_INPUT", "first must be 1 to 100", false},
		{"NotFound", unknownUser("user"), "NOT_FOUND", "user names no user in this environment", false},
		{"Wrapped", fmt.Errorf("reading: %w", model.Errorf(model.KindConflict, "taken")), "CONFLICT", "taken", false},
		{"Version", model.Errorf(model.KindVersionConflict, "moved on"), "CONFLICT", "moved on", false},
		{"Unavailable", &model.Error{Kind: model.KindUnavailable, Message: "away", RetryAfter: 1500 * time.Millisecond, Err: errors.New("dial tcp 10.0.0.1")}, "UNAVAILABLE", "away", true},
		{"GivenUp", fmt.Errorf("reading: %w", context.Canceled), "UNAVAILABLE", "the request took too long or was given up", false},
		{"Unclassified", errors.New("SELECT broke on 10.0.0.1"), "INTERNAL", "internal error", true},
		{"Internal", &model.Error{Kind: model.KindInternal, Message: "secret detail"}, "INTERNAL", "internal error", true},
		{"Panic", recovered(t.Context(), "nil map"), "INTERNAL", "internal error", true},
		{"OfGqlgen", gqlerror.Errorf("the requested element is null which the schema does not allow"), "INTERNAL", "internal error", true},
		{"OfTheEngine", &gqlerror.Error{Message: "too deep", Extensions: map[string]any{"code": "QUERY_TOO_COMPLEX"}}, "QUERY_TOO_COMPLEX", "too deep", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			got := present(t.Context(), slog.New(slog.NewTextHandler(&logged, nil)), tt.err)
			if got.Message != tt.message || fmt.Sprint(got.Extensions["code"]) != tt.code {
				t.Errorf("got %q %v, want %q %s", got.Message, got.Extensions, tt.message, tt.code)
			}
			if (logged.Len() > 0) != tt.logged {
				t.Errorf("log: %s", &logged)
			}
			if shown := fmt.Sprint(got.Message, got.Extensions); strings.Contains(shown, "10.0.0.1") || strings.Contains(shown, "detail") {
				t.Errorf("the client sees %s", shown)
			}
		})
	}
	got := present(t.Context(), slog.New(slog.DiscardHandler), tests[4].err)
	if got.Extensions["retryAfterSeconds"] != 2 {
		t.Errorf("1.5 s are shown as %v seconds, want 2", got.Extensions["retryAfterSeconds"])
	}
}

func TestRefusedSortsErrors(t *testing.T) {
	t.Parallel()
	problem := model.Problem{Code: model.ProblemInvalid, Path: []string{"a"}, Message: "is bad"}
	for _, tt := range []struct {
		err  error
		want string // codes of the user errors; empty: the error is passed on
	}{
		{&model.Error{Kind: model.KindInvalid, Problems: []model.Problem{problem, {Code: model.ProblemUnknownUser, Path: []string{"b"}}}}, "INVALID a;UNKNOWN_USER b;"},
		{model.Conflict("is taken", "identifier"), "CONFLICT identifier;"},
		{&model.Error{Kind: model.KindVersionConflict, Problems: []model.Problem{problem}}, "VERSION_CONFLICT a;"},
		{&model.Error{Kind: model.KindKeyReused, Problems: []model.Problem{problem}}, "IDEMPOTENCY_KEY_REUSED a;"},
		{model.Errorf(model.KindKeyInProgress, "running"), "IDEMPOTENCY_IN_PROGRESS ;"},
		{model.Errorf(model.KindLimit, "too many"), "LIMIT_EXCEEDED ;"},
		{model.Errorf(model.KindConflict, "gone out"), "CONFLICT ;"},
		{model.Errorf(model.KindForbidden, "no"), ""},
		{model.Errorf(model.KindUnavailable, "away"), ""},
		{model.Errorf(model.KindRateLimited, "slow down"), ""},
		{errors.New("boom"), ""},
	} {
		var ue []*model.Problem
		stop, err := refused(tt.err, &ue)
		var got strings.Builder
		for _, p := range ue {
			fmt.Fprintf(&got, "%s %s;", p.Code, p.Field())
		}
		if !stop || got.String() != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%v: stop=%t, user errors %q, error %v; want %q", tt.err, stop, got.String(), err, tt.want)
		}
	}
	if stop, err := refused(nil, nil); stop || err != nil {
		t.Errorf("no error: stop=%t, %v", stop, err)
	}
}
