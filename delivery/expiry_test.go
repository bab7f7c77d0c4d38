package delivery_test

import (
	"testing"
	"time"

	"carillon/model"
)

// TestNothingIsDeliveredAfterItsTime has deliveries fall due after their
// notification has expired, also when that is gone by then.
func TestNothingIsDeliveredAfterItsTime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		f.ada(t)
		for _, life := range []time.Duration{time.Hour, 90 * time.Minute, 3 * time.Hour} {
			f.send(t, f.env, func(r *model.SendRequest) { r.ExpiresAt = time.Now().Add(life) }, "ada")
		}
		f.sql(t, "update notifications set expires_at = 1 where expires_at < ? returning 1", time.Now().Add(70*time.Minute).UnixMicro())
		if n, _, err := f.store.ExpireNotifications(t.Context(), 10); err != nil || n != 1 {
			t.Fatalf("%d notifications have gone, %v", n, err)
		}
		f.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
		f.run(t)
		f.settled(t)
		states := map[model.DeliveryState]int{}
		for _, d := range f.rows(t, f.env.ID) {
			if states[d.State]++; d.State == model.DeliveryExpired && (d.Detail == "" || d.Reason == 0) {
				t.Errorf("the expired delivery does not say why: %+v", d)
			}
		}
		if states[model.DeliveryExpired] != 2 || states[model.DeliverySent] != 1 || len(f.recorder.Tried()) != 1 {
			t.Errorf("the deliveries are %v, with %d attempts", states, len(f.recorder.Tried()))
		}
	})
}
