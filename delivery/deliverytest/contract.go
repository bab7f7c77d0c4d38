// Package deliverytest helps to test what sends: a contract that every provider
// package holds to, run against a real peer of its protocol on loopback, and a
// provider that records what it is given. It is for tests only.
package deliverytest

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/model"
)

// Fault is a way in which a peer misbehaves.
type Fault string

// The faults. A peer knows those that its protocol can show.
const (
	FaultNone         Fault = ""
	FaultError        Fault = "500"            // the provider has an error of its own
	FaultRateLimited  Fault = "429"            // too many, without saying until when
	FaultRetryAfter   Fault = "retry after"    // too many: come back after 7 seconds
	FaultHang         Fault = "hang"           // takes the message and never answers
	FaultReset        Fault = "reset"          // takes the message and resets the connection
	FaultCut          Fault = "cut"            // cuts its answer in the middle
	FaultMalformed    Fault = "malformed"      // answers something that is not its protocol
	FaultInside       Fault = "error inside"   // a 200 with an error inside
	FaultUnauthorized Fault = "unauthorized"   // refuses the credentials
	FaultGone         Fault = "gone"           // the address is dead
	FaultRefused      Fault = "refused"        // refuses this message for good
	FaultRedirect     Fault = "redirect"       // answers with a redirect to another of its addresses
	FaultHuge         Fault = "endless answer" // never stops answering
)

// AskedToWait is what a peer with FaultRetryAfter asks for.
const AskedToWait = 7 * time.Second

// Peer is a provider's counterpart on loopback, one for each test.
type Peer struct {
	// Account has the settings with which the kind under test reaches the peer.
	Account delivery.Account
	// Outside reaches loopback, and trusts the peer's certificates.
	Outside delivery.Outside
	// To is an address that works.
	To delivery.Target
	// Set makes the peer misbehave, or behave again.
	Set func(Fault)
	// Received returns what was taken so far, in order: for each message its
	// id as the peer saw it ("" when the protocol carries none) and all that a
	// user would see of it, as one text.
	Received func() []Received
}

// Received is one message as a peer took it.
type Received struct {
	ID   string
	Text string
}

// Contract is what a kind is tested by.
type Contract struct {
	Kind *delivery.Kind
	// Channel to test; zero: the kind's first.
	Channel model.Channel
	// Peer starts a peer that ends with the test.
	Peer func(t *testing.T) Peer
	// Faults gives the class that each fault must come to. What a protocol
	// cannot show is left out. FaultHang must be there.
	Faults map[Fault]model.ErrorClass
	// CarriesID says that the protocol hands our id to the provider.
	CarriesID bool
	// Shows says which parts of a message a user sees: of "title", "text" and
	// "url". Nil: title and text.
	Shows []string
}

// Run holds a kind to the contract.
func (c Contract) Run(t *testing.T) {
	t.Helper()
	if c.Channel == 0 {
		c.Channel = c.Kind.Channels[0]
	}
	if c.Shows == nil {
		c.Shows = []string{"title", "text"}
	}
	delivery.NewKinds(c.Kind) // panics when it is malformed
	t.Run("Sends", c.sends)
	t.Run("KeepsTheID", c.keepsTheID)
	t.Run("Concurrently", c.concurrently)
	t.Run("Faults", c.faults)
	t.Run("GivesUpInTime", c.givesUpInTime)
	t.Run("NobodyThere", c.nobodyThere)
	t.Run("HidesSecrets", c.hidesSecrets)
	t.Run("Settings", c.settings)
}

// Message is a message such as the engine makes, with text that is hard to
// carry.
func Message(channel model.Channel, to delivery.Target) delivery.Message {
	now := time.Now()
	return delivery.Message{
		ID: "dlv_0123456789abcdef", Attempt: 1, Channel: channel, To: to,
		Notification: 4711, Send: "5a8b0f0e-0000-4000-8000-000000000001", Recipient: "ada", Name: "Ada Łovelace", Locale: "en-GB", Category: "comments",
		Title: `Grüße <b>&amp;</b> "quoted" 🎉`, Text: "First line.\nSecond: 100 % {{not.a.template}} ünïcødé", URL: "https://example.com/a?b=c&d=e",
		Data: json.RawMessage(`{"order":{"id":17}}`), CollapseKey: "order-17", FiredAt: now, ExpiresAt: now.Add(time.Hour),
	}
}

type bundle struct {
	Peer
	sender  delivery.Sender
	message delivery.Message
}

func (c Contract) setup(t *testing.T) bundle {
	t.Helper()
	b := bundle{Peer: c.Peer(t)}
	b.Account.Channel = c.Channel
	if err := c.Kind.Check(b.Account.Config, b.Account.Secrets); err != nil {
		t.Fatalf("the peer's account does not pass the kind's own check: %v", err)
	}
	var err error
	if b.sender, err = c.Kind.New(b.Account, b.Outside); err != nil {
		t.Fatalf("making a sender: %v", err)
	}
	b.message = Message(c.Channel, b.To)
	return b
}

func (b bundle) send(t *testing.T) (delivery.Receipt, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return b.sender.Send(ctx, b.message)
}

func (c Contract) sends(t *testing.T) {
	t.Parallel()
	b := c.setup(t)
	if _, reports := b.sender.(delivery.Receiver); reports != c.Kind.Reports {
		t.Errorf("the kind says of its reports %t, its sender %t", c.Kind.Reports, reports)
	}
	if ch, ok := b.sender.(delivery.Chooser); ok && !ch.Takes(b.To) {
		t.Fatal("the sender does not take the peer's own address")
	}
	if _, err := b.send(t); err != nil {
		t.Fatalf("Send: %v", err)
	}
	got := b.Received()
	if len(got) != 1 {
		t.Fatalf("the peer took %d messages, want 1", len(got))
	}
	for part, text := range map[string]string{"title": b.message.Title, "text": "100 % {{not.a.template}} ünïcødé", "url": b.message.URL} {
		if slices.Contains(c.Shows, part) && !strings.Contains(got[0].Text, text) {
			t.Errorf("the %s %q does not arrive as it is; what did:\n%s", part, text, got[0].Text)
		}
	}
}

func (c Contract) keepsTheID(t *testing.T) {
	t.Parallel()
	b := c.setup(t)
	for b.message.Attempt = 1; b.message.Attempt <= 2; b.message.Attempt++ {
		if _, err := b.send(t); err != nil {
			t.Fatalf("Send, attempt %d: %v", b.message.Attempt, err)
		}
	}
	if !c.CarriesID {
		return
	}
	for i, r := range b.Received() {
		if !strings.Contains(r.ID, string(b.message.ID)) {
			t.Errorf("attempt %d carried the id %q, want one with %q", i+1, r.ID, b.message.ID)
		}
	}
}

func (c Contract) concurrently(t *testing.T) {
	t.Parallel()
	b := c.setup(t)
	const n = 8
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if _, err := b.send(t); err != nil {
				t.Errorf("Send: %v", err)
			}
		})
	}
	wg.Wait()
	if got := len(b.Received()); got != n {
		t.Errorf("the peer took %d messages, want %d", got, n)
	}
}

func (c Contract) faults(t *testing.T) {
	t.Parallel()
	if c.Faults[FaultHang] == 0 {
		t.Error("the contract must say what FaultHang comes to")
	}
	for fault, want := range c.Faults {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			b := c.setup(t)
			b.Set(fault)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if fault == FaultHang {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			}
			defer cancel()
			_, err := b.sender.Send(ctx, b.message)
			if err == nil {
				t.Fatal("Send passed")
			}
			e := delivery.Classify(err)
			if e.Class != want {
				t.Errorf("class %s, want %s (%v)", e.Class, want, err)
			}
			if fault == FaultRetryAfter && (e.RetryAfter < AskedToWait-2*time.Second || e.RetryAfter > AskedToWait) {
				t.Errorf("RetryAfter %s, want %s", e.RetryAfter, AskedToWait)
			}
			if e.Message == "" {
				t.Error("the error has no message for people")
			}
			b.Set(FaultNone)
			if _, err := b.send(t); err != nil && want != model.ClassAuth {
				t.Errorf("after the fault the sender does not recover: %v", err)
			}
		})
	}
}

func (c Contract) givesUpInTime(t *testing.T) {
	t.Parallel()
	b := c.setup(t)
	b.Set(FaultHang)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := b.sender.Send(ctx, b.message)
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if err == nil {
			t.Error("Send passed though it was cancelled and the peer hangs")
		}
	case <-time.After(5 * time.Second):
		t.Error("Send goes on though its context is done")
	}
}

func (c Contract) nobodyThere(t *testing.T) {
	t.Parallel()
	b := c.setup(t)
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	b.Outside.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, refused }
	b.Outside.HTTP = DeadClient(refused)
	sender, err := c.Kind.New(b.Account, b.Outside)
	if err != nil {
		t.Fatal(err)
	}
	_, err = sender.Send(t.Context(), b.message)
	if err == nil {
		return // it needs nobody, as the log does
	}
	if e := delivery.Classify(err); e.Class != model.ClassTransient {
		t.Errorf("class %s, want TRANSIENT: nothing was written (%v)", e.Class, err)
	}
}

func (c Contract) hidesSecrets(t *testing.T) {
	t.Parallel()
	for fault := range c.Faults {
		if fault == FaultHang {
			continue
		}
		b := c.setup(t)
		b.Set(fault)
		_, err := b.send(t)
		if err == nil {
			continue
		}
		for _, secret := range secretsOf(b.Account) {
			if e := delivery.Classify(err); strings.Contains(err.Error()+e.Answer, secret) {
				t.Errorf("after %s the error shows a secret: %v", fault, err)
			}
		}
	}
}

// secretsOf lists the texts of an account's secrets that are long enough to be
// told apart from other text.
func secretsOf(a delivery.Account) []string {
	var members map[string]any
	_ = json.Unmarshal(a.Secrets, &members)
	var out []string
	for _, v := range members {
		if s, ok := v.(string); ok && len(s) >= 8 {
			out = append(out, s)
		}
	}
	return out
}

// settings checks that a kind refuses what is not there with a clear word, and
// survives what is strange.
func (c Contract) settings(t *testing.T) {
	t.Parallel()
	good := c.Peer(t)
	for _, f := range c.Kind.Fields {
		for _, value := range []string{`null`, `""`, `0`, `-1`, `true`, `[]`, `{}`, `"\u0000"`, `"\r\n"`, `"` + strings.Repeat("x", 20_000) + `"`} {
			a := good.Account
			if f.Secret {
				a.Secrets = with(a.Secrets, f.Name, value)
			} else {
				a.Config = with(a.Config, f.Name, value)
			}
			err := c.Kind.Check(a.Config, a.Secrets)
			if err == nil {
				_, err = c.Kind.New(a, good.Outside)
			}
			if err != nil && model.KindOf(err) != model.KindInvalid {
				t.Errorf("%s = %.20s: %v, want a KindInvalid error", f.Name, value, err)
			}
			if err == nil && f.Required && (value == "null" || value == `""`) {
				t.Errorf("%s = %s passes, though it is required", f.Name, value)
			}
		}
	}
	if err := c.Kind.Check(with(good.Account.Config, "noSuchSetting", `1`), good.Account.Secrets); err == nil {
		t.Error("a setting that does not exist passes")
	}
}

func with(object json.RawMessage, name, value string) json.RawMessage {
	members := map[string]json.RawMessage{}
	if len(object) > 0 {
		_ = json.Unmarshal(object, &members)
	}
	members[name] = json.RawMessage(value)
	out, err := json.Marshal(members)
	if err != nil {
		return object
	}
	return out
}
