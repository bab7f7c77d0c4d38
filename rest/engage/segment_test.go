package engage_test

import (
	"fmt"
	"testing"

	"carillon/model"
)

// segments: users show the segments that they are in, which follow what
// becomes of them through this dialect, and nobody else's.
func segments(t *testing.T, w *world) {
	ctx := t.Context()
	refresh := func() {
		t.Helper()
		if err := w.segments.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for _, app := range []string{"shop", "other"} {
		m, err := w.segments.Create(ctx, model.Once{}, model.Segment{EnvID: w.envs[app], Identifier: "payers", Name: "Payers", Rule: model.SegmentRule{Any: []model.SegmentRule{
			{Event: &model.EventCondition{Name: "Paid", AtLeast: new(int32(2))}}, {Attribute: &model.AttributeCondition{Name: "plan", Equals: []byte(`"gold"`)}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		w.answers[app+"Payers"] = fmt.Sprintf("%024x", m.Value.ID)
	}
	w.play([]step{
		{as: key, request: "POST /v1/users", body: `{"id":"ada","meta":{"plan":"gold"}}`, status: 201, want: `{"segments":[]}`},
		{as: key, request: "POST /v1/users", body: `{"id":"eve"}`, status: 201},
		{as: key, request: "POST /v1/users/eve/events", body: `{"event":"Paid"}`, status: 200},
	})
	refresh()
	w.play([]step{
		{as: both, request: "GET /v1/users/ada", status: 200, want: `{"segments":[{"id":"$shopPayers","suppressed":false}]}`},
		{as: both, request: "GET /v1/users/eve", status: 200, want: `{"segments":[]}`},
		{as: key, request: "POST /v1/users/eve/events", body: `{"event":"Paid"}`, status: 200},
		{as: key, request: "PUT /v1/users/ada", body: `{"meta":{"plan":"silver"}}`, status: 200},
	})
	for _, user := range []string{"ada", "eve"} {
		if _, err := w.segments.Suppress(ctx, w.envs["shop"], model.Once{}, "payers", user, true); err != nil {
			t.Fatal(err)
		}
	}
	refresh()
	w.play([]step{
		{as: both, request: "GET /v1/users/ada", status: 200, want: `{"segments":[]}`},
		{as: both, request: "GET /v1/users/eve", status: 200, want: `{"segments":[{"id":"$shopPayers","suppressed":true}]}`},
		{as: other, request: "GET /v1/users/eve", status: 404},
	})
}
