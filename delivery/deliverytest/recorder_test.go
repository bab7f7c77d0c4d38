package deliverytest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/model"
)

// TestTheRecorderPassesTheContract tests the contract itself as much as the
// recorder.
func TestTheRecorderPassesTheContract(t *testing.T) {
	t.Parallel()
	var (
		mu    sync.Mutex
		rigs  = map[string]*Recorder{}
		fault = map[string]Fault{}
	)
	faults := map[Fault]model.ErrorClass{
		FaultHang: model.ClassUnknown, FaultError: model.ClassTransient, FaultRetryAfter: model.ClassRateLimited,
	}
	kind := (&Recorder{}).Kind("recorder")
	kind.New = func(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
		mu.Lock()
		defer mu.Unlock()
		return rigs[string(a.Provider)].Kind("recorder").New(a, out)
	}
	Contract{
		Kind: kind, Faults: faults, CarriesID: true,
		Peer: func(t *testing.T) Peer {
			r := &Recorder{Answer: func(ctx context.Context, a delivery.Account, _ delivery.Message) (delivery.Receipt, error) {
				mu.Lock()
				f := fault[string(a.Provider)]
				mu.Unlock()
				switch f {
				case FaultHang:
					<-ctx.Done()
					return delivery.Receipt{}, ctx.Err()
				case FaultNone:
					return delivery.Receipt{}, nil
				case FaultRetryAfter:
					return delivery.Receipt{}, &delivery.Error{Class: faults[f], RetryAfter: AskedToWait, Message: "later"}
				default:
					return delivery.Receipt{}, delivery.Errorf(faults[f], "no")
				}
			}}
			name := t.Name()
			mu.Lock()
			defer mu.Unlock()
			rigs[name] = r
			return Peer{
				Account: delivery.Account{Provider: model.ProviderID(name), Secrets: []byte(`{"token":"a-secret-token"}`)},
				Outside: delivery.Outside{Log: slog.New(slog.DiscardHandler), Now: time.Now},
				To:      delivery.Target{Address: "somewhere"},
				Set: func(f Fault) {
					mu.Lock()
					defer mu.Unlock()
					fault[name] = f
				},
				Received: func() (out []Received) {
					for _, s := range r.Taken() {
						out = append(out, Received{ID: string(s.Message.ID), Text: s.Message.Title + "\n" + s.Message.Text})
					}
					return out
				},
			}
		},
	}.Run(t)
}
