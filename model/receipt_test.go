package model_test

import (
	"testing"

	"carillon/model"
)

func TestReportsNeverTakeADeliveryBack(t *testing.T) {
	t.Parallel()
	const q, a, s, f, sk, c, e, u, d, b, co = model.DeliveryQueued, model.DeliveryAttempting, model.DeliverySent, model.DeliveryFailed, model.DeliverySkipped,
		model.DeliveryCanceled, model.DeliveryExpired, model.DeliveryUnknown, model.DeliveryDelivered, model.DeliveryBounced, model.DeliveryComplained
	for _, tt := range []struct {
		name   string
		report model.Report
		from   []model.DeliveryState
	}{
		{"Nothing", model.Report{}, nil},
		{"Sent", model.Report{State: s}, []model.DeliveryState{u}},
		{"Delivered", model.Report{State: d}, []model.DeliveryState{q, s, f, e, u}},
		{"SoftBounce", model.Report{State: b}, []model.DeliveryState{s, u}},
		{"HardBounce", model.Report{State: b, Dead: true}, []model.DeliveryState{s, u, d}},
		{"Complaint", model.Report{State: co}, []model.DeliveryState{s, u, d, b}},
		{"ClaimsOfTheQueue", model.Report{State: q}, nil},
	} {
		want := map[model.DeliveryState]bool{}
		for _, from := range tt.from {
			want[from] = true
		}
		for _, from := range []model.DeliveryState{q, a, s, f, sk, c, e, u, d, b, co} {
			if got := tt.report.Moves(from); got != want[from] {
				t.Errorf("%s moves %s: %t, want %t", tt.name, from, got, want[from])
			}
		}
	}
}
