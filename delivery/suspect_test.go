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
		if d.Lost >= model.SuspectLost && begun(d) {
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
		poison := func(d model.ClaimedDelivery) bool { return d.Address == "user-3@example.com" }
		for range 3 { // the first two times, nobody knows which it was
			f.dead(t, poison)
		}
		stop := f.run(t)
		aside := func(state model.DeliveryState, detail string) func() bool {
			return func() bool {
				left := 0
				for _, d := range f.rows(t, f.env.ID) {
					switch {
					case d.Address == "user-3@example.com":
						left += one(d.State != state || !strings.HasPrefix(d.Detail, detail))
					default:
						left += one(d.State != model.DeliverySent || d.Lost != 0)
					}
				}
				return left == 0
			}
		}
		eventually(t, "all are sent but the poison, which is set aside", aside(model.DeliveryQueued, "set aside for 60 s: 3 times"))
		stop()
		f.hurry(t)
		f.dead(t, poison)
		runService(t, f.another())
		eventually(t, "the poison is given up", aside(model.DeliveryFailed, "set aside: 4 times"))
	})
}

func TestWhatWasSetAsideByChanceIsSentInTheEnd(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.provider(t, model.ChannelEmail)
		f.ada(t)
		f.send(t, f.env, nil, "ada")
		for range 3 {
			f.dead(t, func(model.ClaimedDelivery) bool { return true })
		}
		f.run(t)
		eventually(t, "it is set aside", func() bool {
			return f.count(t, "select count(*) from deliveries where state = 1 and lost = 4") == 1
		})
		f.hurry(t)
		eventually(t, "it is sent", func() bool {
			return f.count(t, "select count(*) from deliveries where state = 3 and lost = 0 and detail = ''") == 1
		})
	})
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
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
