package delivery_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/model"
)

// dead claims everything that is due for a worker that then dies: what it holds
// is due again at once. With begun, it has marked the suspects among it before.
func (f *fixture) dead(t *testing.T, begun func(model.ClaimedDelivery) bool) {
	t.Helper()
	lanes, err := f.store.DueLanes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var claims []model.LaneClaim
	for _, l := range lanes {
		claims = append(claims, model.LaneClaim{Lane: l.Lane, Limit: 100})
	}
	list, err := f.store.ClaimDeliveries(t.Context(), claims, 0)
	if err != nil || len(list) == 0 {
		t.Fatalf("claimed %d, %v", len(list), err)
	}
	for _, d := range list {
		if d.Lost > 0 && begun(d) {
			if marked, err := f.store.MarkSuspect(t.Context(), d.EnvID, d.ID, d.Fence); err != nil || !marked {
				t.Fatalf("marked %t, %v", marked, err)
			}
		}
		if marked, err := f.store.MarkSuspect(t.Context(), d.EnvID, d.ID, d.Fence-1); err != nil || marked {
			t.Fatalf("with an old fence: marked %t, %v", marked, err)
		}
	}
}

func TestAPoisonousDeliveryIsSetAsideAlone(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		var everyone []string
		for i := range 10 {
			name := fmt.Sprintf("user-%d", i)
			f.person(t, f.env.ID, name, fmt.Sprintf(`{"email":"%s@example.com"}`, name))
			everyone = append(everyone, name)
		}
		f.send(t, f.env, nil, everyone...)
		for range 5 { // the first time, nobody knows which it was
			f.dead(t, func(d model.ClaimedDelivery) bool { return d.Address == "user-3@example.com" })
		}
		f.run(t)
		eventually(t, "all have ended", func() bool { return f.count(t, "select count(*) from deliveries where state <= 2") == 0 })
		for _, d := range f.rows(t, f.env.ID) {
			poison := d.Address == "user-3@example.com"
			if poison && (d.State != model.DeliveryFailed || !strings.HasPrefix(d.Detail, "set aside")) || !poison && (d.State != model.DeliverySent || d.Lost != 0) {
				t.Errorf("%s is %s, lost %d: %s", d.Address, d.State, d.Lost, d.Detail)
			}
		}
	})
}

func TestSuspectsAreTriedOneAtATime(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		for i := range 3 {
			env := f.environment(t, fmt.Sprintf("app-%d", i))
			f.providerOf(t, &env, model.ChannelEmail)
			for j := range 3 {
				f.person(t, env.ID, fmt.Sprintf("user-%d", j), fmt.Sprintf(`{"email":"user-%d@example.com"}`, j))
			}
			f.send(t, env, nil, "user-0", "user-1", "user-2")
		}
		f.dead(t, nil)
		one := make(chan struct{}, 1)
		f.recorder.Answer = func(context.Context, delivery.Account, delivery.Message) (delivery.Receipt, error) {
			select {
			case one <- struct{}{}:
				<-time.After(2 * time.Millisecond)
				<-one
			default:
				t.Error("two suspects are tried at the same time")
			}
			return delivery.Receipt{}, nil
		}
		f.run(t)
		eventually(t, "all are sent", func() bool { return f.count(t, "select count(*) from deliveries where state = 3 and lost = 0") == 9 })
	})
}

func TestHangingSuspectsHoldUpNoOthers(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		other := f.environment(t, "other")
		for _, env := range []*model.Environment{&f.env, &other} {
			f.providerOf(t, env, model.ChannelEmail)
			for i := range 4 {
				f.person(t, env.ID, fmt.Sprintf("user-%d", i), fmt.Sprintf(`{"email":"user-%d@example.com"}`, i))
			}
			f.send(t, *env, nil, "user-0", "user-1", "user-2", "user-3")
		}
		f.dead(t, nil)
		over := make(chan struct{})
		f.recorder.Answer = func(_ context.Context, a delivery.Account, _ delivery.Message) (delivery.Receipt, error) {
			if a.Env == f.env.ID {
				<-over
			}
			return delivery.Receipt{}, nil
		}
		f.run(t)
		t.Cleanup(func() { close(over) }) // before the worker is stopped
		f.send(t, other, nil, "user-0")   // which is not suspect
		eventually(t, "the other app's are sent", func() bool { return f.count(t, "select count(*) from deliveries where state = 3") == 5 })
	})
}
