package deliverytest

import (
	"context"
	"net/http"
	"slices"
	"sync"

	"carillon/delivery"
	"carillon/model"
)

// Recorder is a provider that keeps what it is given. Its Kind's senders all
// record here.
type Recorder struct {
	// Answer decides about each message; nil, or an answer without error: taken.
	// Set it before the first message.
	Answer func(ctx context.Context, a delivery.Account, m delivery.Message) (delivery.Receipt, error)
	// Dedupes is what the kind says of itself.
	Dedupes bool
	// Refuses are targets that its senders do not take.
	Refuses func(to delivery.Target) bool

	mu    sync.Mutex
	taken []Sent
	tried []Sent
}

// Sent is a message and the provider that it was handed to.
type Sent struct {
	Provider model.ProviderID
	Message  delivery.Message
}

// Kind is a kind of provider with the recorder behind it: for every channel,
// with one setting of each sort.
func (r *Recorder) Kind(name string) *delivery.Kind {
	return &delivery.Kind{
		Name: name, Title: "Recorder", Channels: slices.DeleteFunc(model.Channels(), func(c model.Channel) bool { return c == model.ChannelInApp }),
		Reports: true, Dedupes: r.Dedupes,
		Fields: []delivery.Field{
			{Name: "from", Help: "who sends", Type: delivery.FieldText},
			{Name: "token", Help: "the credential", Type: delivery.FieldText, Secret: true},
			delivery.ReceiptsSecret(),
		},
		New: func(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
			var c model.Check
			return &recording{r, a, delivery.NewSignedReceipts(&c, a, out)}, c.Err()
		},
	}
}

// Taken lists what was taken, in order.
func (r *Recorder) Taken() []Sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.taken)
}

// Tried lists every attempt, in the order of their begin.
func (r *Recorder) Tried() []Sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.tried)
}

type recording struct {
	*Recorder
	account delivery.Account
	delivery.SignedReceipts
}

func (s *recording) Takes(to delivery.Target) bool { return s.Refuses == nil || !s.Refuses(to) }

func (s *recording) Send(ctx context.Context, m delivery.Message) (receipt delivery.Receipt, err error) {
	s.mu.Lock()
	s.tried = append(s.tried, Sent{s.account.Provider, m})
	s.mu.Unlock()
	receipt.MessageID = "rec-" + string(m.ID)
	if s.Answer != nil {
		if receipt, err = s.Answer(ctx, s.account, m); err != nil {
			return receipt, err
		}
	}
	s.mu.Lock()
	s.taken = append(s.taken, Sent{s.account.Provider, m})
	s.mu.Unlock()
	return receipt, nil
}

// DeadClient is an HTTP client whose every call fails with err.
func DeadClient(err error) *http.Client {
	return &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, err })}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
