package admission

import (
	"reflect"
	"testing"
	"testing/synctest"
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

// TestWhoIsOverTheRateIsRefusedAtTheDoor asks as fast as two may be asked a second.
func TestWhoIsOverTheRateIsRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := New(Rates{Environment: ratelimit.Rate{PerSecond: 2, Burst: 2}}, nil)
		d.Note("ada", 1)
		d.Note("bob", 2)
		ctx := auth.WithCaller(t.Context(), auth.Caller{Kind: auth.Secret, Env: model.Environment{ID: 1}})
		count := func(want model.Kind) {
			t.Helper()
			if err := d.Count(ctx, "", 1); model.KindOf(err) != want {
				t.Errorf("counted: %v, want %q", err, want)
			}
		}
		refused := func(credential string, want error) {
			t.Helper()
			if err := d.Refuses(credential); !reflect.DeepEqual(err, want) {
				t.Errorf("%s: %v, want %v", credential, err, want)
			}
		}
		count("")
		count("")
		refused("ada", nil) // nobody was over it
		if d.Busy() {
			t.Error("the desk is busy before anybody was over the rate")
		}
		count(model.KindRateLimited)
		refused("ada", tooMany(500*time.Millisecond, ofEnvironment))
		refused("bob", nil)
		refused("eve", nil)
		time.Sleep(500 * time.Millisecond) //nolint:forbidigo // in a synctest bubble
		refused("ada", nil)
		count("") // what was refused at the door has taken nothing
		refused("ada", tooMany(500*time.Millisecond, ofEnvironment))
		if !d.Busy() {
			t.Error("the desk is not busy with one who was over the rate of late")
		}
		time.Sleep(rateOver) //nolint:forbidigo // in a synctest bubble
		if d.Busy() {
			t.Error("the desk is busy long after")
		}
	})
}
