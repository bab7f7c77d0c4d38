package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Sink receives webhooks on loopback.
type Sink struct {
	URL  string
	http *http.Server
	read func(*http.Request) (Call, error)
	take func(context.Context, Call)

	mu    sync.Mutex
	calls []Call
}

// Call is one attempt of a delivery, as it arrived; or to tell of an event, which
// is what Delivery then names, by its webhook-id, with the send as Title.
type Call struct {
	Delivery, User, Title string
	Began                 time.Time // when its first bytes had arrived
	Ended                 time.Time // when it was answered; zero: not yet, or never
}

// NewSink starts a sink of deliveries. take runs before each answer and may take its time, or
// as long as the context, which ends with the caller; nil: it answers at once.
func NewSink(take func(context.Context, Call)) (*Sink, error) { return newSink(readDelivery, take) }

// NewEventSink starts a sink for an endpoint that is told of notifications. take
// is as for [NewSink].
func NewEventSink(take func(context.Context, Call)) (*Sink, error) { return newSink(readEvent, take) }

func newSink(read func(*http.Request) (Call, error), take func(context.Context, Call)) (*Sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens until it is closed
	if err != nil {
		return nil, err
	}
	s := &Sink{URL: "http://" + l.Addr().String(), read: read, take: take}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(l) }() // ends with Close
	return s, nil
}

// Close ends the sink.
func (s *Sink) Close() { _ = s.http.Close() }

// ServeHTTP takes one call.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	c, err := s.read(r)
	if err != nil || c.Delivery == "" {
		http.Error(w, fmt.Sprintf("not what this receives: %v", err), http.StatusBadRequest)
		return
	}
	c.Began = began
	s.mu.Lock()
	n := len(s.calls)
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	if s.take != nil {
		s.take(r.Context(), c)
	}
	if r.Context().Err() != nil {
		return
	}
	w.WriteHeader(http.StatusNoContent)
	s.mu.Lock()
	s.calls[n].Ended = time.Now()
	s.mu.Unlock()
}

func readDelivery(r *http.Request) (Call, error) {
	var body struct {
		Data struct{ DeliveryID, User, Title string }
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	return Call{Delivery: body.Data.DeliveryID, User: body.Data.User, Title: body.Data.Title}, err
}

func readEvent(r *http.Request) (Call, error) {
	var body struct {
		Data struct {
			User struct{ Identifier string }
			Send struct{ ID string }
		}
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	return Call{Delivery: r.Header.Get("Webhook-Id"), User: body.Data.User.Identifier, Title: body.Data.Send.ID}, err
}

// Calls are all there were so far, in the order of their arrival.
func (s *Sink) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

const createProvider = `mutation ($input: CreateProviderInput!) { createProvider(input: $input) { userErrors { code path message } } }`

// Provider makes a provider of the webhook channel: of the kind "webhook", or
// "log". So many attempts are made at the same time.
func (c *Client) Provider(ctx context.Context, kind string, concurrency int) error {
	input := map[string]any{"kind": kind, "channel": "WEBHOOK", "concurrency": concurrency}
	if kind == "webhook" {
		input["secrets"] = map[string]any{"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	}
	var out struct {
		CreateProvider struct{ UserErrors []userError }
	}
	err := c.Do(ctx, createProvider, map[string]any{"input": input}, &out)
	if e := out.CreateProvider.UserErrors; err == nil && len(e) > 0 {
		err = fmt.Errorf("making a provider: %v", e)
	}
	return err
}

const addAddress = `mutation ($user: String!, $url: String!) { addAddress(input: {user: $user, channel: WEBHOOK, address: $url}) { userErrors { code path message } } }`

// Address gives a user a webhook.
func (c *Client) Address(ctx context.Context, user, url string) error {
	var out struct {
		AddAddress struct{ UserErrors []userError }
	}
	err := c.Do(ctx, addAddress, map[string]any{"user": user, "url": url}, &out)
	if e := out.AddAddress.UserErrors; err == nil && len(e) > 0 {
		err = fmt.Errorf("adding an address: %v", e)
	}
	return err
}

const listDeliveries = `query ($states: [DeliveryState!]) { deliveries(first: 100, filter: {states: $states}) { nodes { id state detail } } }`

// Delivery is what the log says of one.
type Delivery struct {
	ID, State, Detail string
}

// Deliveries lists the newest 100 that are in one of some states.
func (c *Client) Deliveries(ctx context.Context, states ...string) ([]Delivery, error) {
	var out struct {
		Deliveries struct{ Nodes []Delivery }
	}
	err := c.Do(ctx, listDeliveries, map[string]any{"states": states}, &out)
	return out.Deliveries.Nodes, err
}
