package admission

import (
	"testing"
	"time"

	"carillon/auth"
	"carillon/internal/ratelimit"
	"carillon/model"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestRates(t *testing.T) {
	t.Parallel()
	ada := auth.Caller{Kind: auth.User, Env: model.Environment{ID: 1}, UserID: 7}
	bob := auth.Caller{Kind: auth.User, Env: model.Environment{ID: 1}, UserID: 8}
	elsewhere := auth.Caller{Kind: auth.User, Env: model.Environment{ID: 2}, UserID: 7}
	app := auth.Caller{Kind: auth.Secret, Env: model.Environment{ID: 1}}

	a := New(Rates{
		User:        ratelimit.Rate{PerSecond: 1, Burst: 2},
		Environment: ratelimit.Rate{PerSecond: 1, Burst: 4},
		Address:     ratelimit.Rate{PerSecond: 1, Burst: 1},
	}, nil)
	wait := func(c auth.Caller, fields float64) string {
		if w, whose := a.wait(auth.WithCaller(t.Context(), c), "", fields, noon); w > 0 {
			return whose
		}
		return ""
	}
	for _, step := range []struct {
		name   string
		caller auth.Caller
		fields float64
		want   string
	}{
		{"TwoFieldsCountTwice", ada, 2, ""},
		{"AUserOverTheRate", ada, 1, "user"},
		{"AnotherUserIsFree", bob, 2, ""},
		{"TheSameIDElsewhereIsAnother", elsewhere, 2, ""},
		{"TheEnvironmentCountsAll", app, 1, "environment"},
	} {
		if got := wait(step.caller, step.fields); got != step.want {
			t.Errorf("%s: held up by %q, want %q", step.name, got, step.want)
		}
	}

	anonymous := func(address string) bool {
		w, _ := a.wait(t.Context(), address, 1, noon)
		return w == 0
	}
	if !anonymous("192.0.2.1") || anonymous("192.0.2.1") || !anonymous("192.0.2.2") {
		t.Error("addresses without a credential do not have a bucket each")
	}
}
