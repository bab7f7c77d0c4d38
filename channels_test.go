package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/delivery/deliverytest"
)

// TestOneSendReachesEveryChannel has one send delivered over all channels, by
// providers who hear of it once each, in the words of their channel.
func TestOneSendReachesEveryChannel(t *testing.T) {
	t.Parallel()
	c := startOutside(t).customer(t, "bells", none)
	c.ask(`mutation { createTemplate(input: {identifier: "order", name: "O", content: {title: "Order {{data.n}}", body: "For all, {{recipient.firstName}}"}, channels: [
		{channel: EMAIL, content: {title: "Your order {{data.n}}", html: "<b>{{recipient.firstName}}</b>"}}, {channel: SMS, content: {body: "Text for {{recipient.firstName}}"}},
		{channel: MOBILE_PUSH, content: {body: "Pushed to {{recipient.firstName}}"}}, {channel: WEB_PUSH, content: {title: "In the browser"}}, {channel: SLACK, content: {body: "In Slack"}}]}) { userErrors { path message } } }`)
	c.ask(`mutation { sendNotification(input: {to: {users: ["ada"]}, template: "order", data: {n: 17}}) { userErrors { path message } } }`)
	c.until("all to be sent", func(_ string, d shown) bool { return d.State == "SENT" })
	for _, x := range c.carriers {
		want := map[string][]string{
			"smtp": {"Your order 17", "For all, Ada", "<b>Ada</b>"}, "twilio": {"Order 17", "Text for Ada"}, "fcm": {"Order 17", "Pushed to Ada"}, "apns": {"Order 17", "Pushed to Ada"},
			"webpush": {"In the browser", "For all, Ada"}, "slack": {"Order 17", "In Slack"}, "webhook": {"Order 17", "For all, Ada"},
		}[x.kind]
		got := x.received()
		if len(got) != 1 {
			t.Errorf("%s heard of it %d times", x.kind, len(got))
			continue
		}
		for _, part := range want {
			if !strings.Contains(got[0].Text, part) {
				t.Errorf("%s got %q, want %q in it", x.kind, got[0].Text, part)
			}
		}
		if at := fmt.Sprint(c.ask(`{ providers { kind receiptsUrl } }`)); strings.Contains(at, "kind:"+x.kind+" receiptsUrl:https://bells.example/receipts/") != slices.Contains([]string{"smtp", "twilio", "webhook"}, x.kind) {
			t.Errorf("where %s reports to: %s", x.kind, at)
		}
		d := c.log()[x.kind]
		if len(d.Attempts) != 1 || d.Attempts[0].Number != 1 || d.Attempts[0].Kind != x.kind || d.Attempts[0].ErrorClass != "" || !d.Attempts[0].NextAt.IsZero() {
			t.Errorf("the log says of %s: %+v", x.kind, d)
		}
	}
}

// TestTemplatesSpeakToEachRecipient sends a template that prints the recipient to
// two users: in the mails and in the inboxes each reads their own name.
func TestTemplatesSpeakToEachRecipient(t *testing.T) {
	t.Parallel()
	c := startOutside(t).customer(t, "bells", none)
	c.ask(`mutation { identifyUser(input: {identifier: "eve", firstName: "Eve", email: "eve@example.com"}) { userErrors { path message } }
		createTemplate(input: {identifier: "hi", name: "H", content: {title: "Hi {{recipient.firstName}}"}}) { userErrors { path message } } }`)
	c.ask(`mutation { sendNotification(input: {to: {users: ["ada", "eve"]}, template: "hi", channels: [IN_APP, EMAIL]}) { userErrors { path message } } }`)
	eventually(t, "two mails", func() bool { return len(c.carriers[0].received()) == 2 })
	mails := fmt.Sprint(c.carriers[0].received())
	inboxes := fmt.Sprint(c.ask(`{ ada: user(identifier: "ada") { inbox { nodes { title } } } eve: user(identifier: "eve") { inbox { nodes { title } } } }`))
	for _, said := range []string{mails, inboxes} {
		if strings.Count(said, "Hi Ada") == 0 || strings.Count(said, "Hi Eve") == 0 {
			t.Errorf("they read %s", said)
		}
	}
}

// ends is what a fault comes to: the class of the attempt, and the state in which
// the delivery ends; "": it is tried again.
type ends struct{ class, state string }

// outcomes are what the faults come to, and where they come to something else
// because the protocol judges by content, or has no such thing.
var outcomes = []struct {
	fault deliverytest.Fault
	usual ends
	but   map[string]ends
}{
	{deliverytest.FaultNone, sent, nil},
	{deliverytest.FaultError, ends{"TRANSIENT", ""}, nil},
	{deliverytest.FaultRateLimited, ends{"RATE_LIMITED", ""}, nil},
	{deliverytest.FaultRetryAfter, ends{"RATE_LIMITED", ""}, map[string]ends{"smtp": sent}},
	{deliverytest.FaultHang, ends{"UNKNOWN", ""}, map[string]ends{"twilio": lost}},
	{deliverytest.FaultReset, ends{"UNKNOWN", ""}, map[string]ends{"twilio": lost}},
	{deliverytest.FaultCut, ends{"UNKNOWN", ""}, map[string]ends{"twilio": lost}},
	{deliverytest.FaultMalformed, ends{"UNKNOWN", ""}, map[string]ends{"twilio": lost, "webpush": sent, "webhook": sent}},
	{deliverytest.FaultHuge, ends{"UNKNOWN", ""}, map[string]ends{"twilio": lost}},
	{deliverytest.FaultInside, dead, map[string]ends{"slack": refused, "smtp": sent, "webpush": sent, "webhook": sent}},
	{deliverytest.FaultUnauthorized, ends{"AUTH", ""}, map[string]ends{"webpush": refused, "webhook": {"TRANSIENT", ""}}},
	{deliverytest.FaultGone, dead, nil},
	{deliverytest.FaultRefused, refused, map[string]ends{"webhook": {"TRANSIENT", ""}}},
	{deliverytest.FaultRedirect, refused, map[string]ends{"webhook": {"TRANSIENT", ""}, "smtp": sent}},
	{faultNobody, ends{"TRANSIENT", ""}, nil},
	{faultStranger, ends{"TRANSIENT", ""}, nil},
}

var (
	sent    = ends{"", "SENT"}
	lost    = ends{"UNKNOWN", "UNKNOWN"} // a second text message disturbs, and costs
	dead    = ends{"ADDRESS_DEAD", "FAILED"}
	refused = ends{"PERMANENT", "FAILED"}
)

// order is how the kinds are shifted against each other.
var order = []string{"smtp", "twilio", "fcm", "apns", "webpush", "slack", "webhook"}

// TestFaultsOfProviders has every provider fail in every way its protocol knows,
// each beside six others who fail in other ways: whatever these do, a delivery
// ends or is tried again as its own fault says, and once the provider works again
// the message arrives once.
func TestFaultsOfProviders(t *testing.T) {
	t.Parallel()
	o := startOutside(t)
	customers := make([]*customer, len(outcomes))
	for i := range customers {
		customers[i] = o.customer(t, fmt.Sprint("c", i), func(kind string) deliverytest.Fault {
			return outcomes[(i+slices.Index(order, kind))%len(outcomes)].fault
		})
		customers[i].ask(`mutation { sendNotification(input: {to: {users: ["ada"]}, title: "Ding", body: "Dong"}) { userErrors { path message } } }`)
	}
	for _, c := range customers {
		c.fails()
	}
	for _, c := range customers {
		c.heal()
	}
	for _, c := range customers {
		c.recovers()
	}
}

// want is what the fault of a kind comes to.
func (c *customer) want(kind string) ends {
	for _, o := range outcomes {
		if o.fault != c.faults(kind) {
			continue
		}
		if own, ok := o.but[kind]; ok {
			return own
		}
		return o.usual
	}
	panic("no such fault")
}

// fails checks what the first attempts came to.
func (c *customer) fails() {
	c.t.Helper()
	log := c.until("the first attempts", func(kind string, d shown) bool {
		return len(d.Attempts) > 0 && (c.want(kind).state == "" || d.State != "QUEUED" && d.State != "ATTEMPTING")
	})
	for kind, d := range log {
		what, want, first := fmt.Sprintf("%s after %q", kind, c.faults(kind)), c.want(kind), d.Attempts[0]
		if first.ErrorClass != want.class || first.Kind != kind {
			c.t.Errorf("%s: the attempt is %+v, want class %q", what, first, want.class)
		}
		again := !first.NextAt.IsZero()
		if again != (want.state == "") || want.state != "" && (d.State != want.state || len(d.Attempts) != 1) {
			c.t.Errorf("%s: %+v, want %q", what, d, want.state)
		}
		if wait := first.NextAt.Sub(first.StartedAt); c.faults(kind) == deliverytest.FaultRetryAfter && again && wait < deliverytest.AskedToWait-time.Second {
			c.t.Errorf("%s: tried again after %s, though asked to wait for %s", what, wait, deliverytest.AskedToWait)
		}
	}
	paused := fmt.Sprint(c.ask(`{ providers { kind pausedAt } }`)["providers"])
	for _, kind := range order {
		if got := !strings.Contains(paused, fmt.Sprintf("kind:%s pausedAt:<nil>", kind)); got != (c.want(kind).class == "AUTH") {
			c.t.Errorf("%s after %q: paused %t", kind, c.faults(kind), got)
		}
	}
	c.forgets()
}

// forgets checks that dead addresses, and no others, are used no more.
func (c *customer) forgets() {
	c.t.Helper()
	plan := fmt.Sprint(c.ask(`mutation { sendNotification(input: {to: {users: ["ada"]}, title: "T", dryRun: true}) { plan { channels { addresses } } userErrors { path message } } }`))
	for _, x := range c.carriers {
		if used := strings.Contains(plan, x.address); used == (c.want(x.kind).class == "ADDRESS_DEAD") {
			c.t.Errorf("%s after %q: the address is used again: %t", x.kind, c.faults(x.kind), used)
		}
	}
}

// heal has the providers work again, as far as they are there, and whoever pauses
// them goes on.
func (c *customer) heal() {
	c.t.Helper()
	for _, x := range c.carriers {
		x.set(deliverytest.FaultNone)
	}
	c.mu.Lock()
	clear(c.hanging)
	c.mu.Unlock()
	var changes strings.Builder
	for i, p := range c.ask(`{ providers { id } }`)["providers"].([]any) {
		fmt.Fprintf(&changes, "c%d: updateProvider(input: {id: %q, paused: false}) { userErrors { path message } }\n", i, p.(map[string]any)["id"])
	}
	c.ask("mutation {" + changes.String() + `} `)
	c.again()
}

// again has what waits for its next try be tried now.
func (c *customer) again() {
	c.ask(`mutation { retryDeliveries(input: {filter: {states: [QUEUED]}}) { userErrors { path message } } }`)
}

// recovers checks that what was to be tried again arrives, and nothing twice.
func (c *customer) recovers() {
	c.t.Helper()
	back := func(kind string) bool {
		f := c.faults(kind)
		return c.want(kind).state == "" && f != faultNobody && f != faultStranger && f != deliverytest.FaultRetryAfter
	}
	asked := time.Now()
	c.until("the providers to be tried again", func(kind string, d shown) bool {
		done := !back(kind) || d.State == "SENT"
		if !done && time.Since(asked) > time.Second { // a try was under way when the providers were healed
			c.again()
			asked = time.Now()
		}
		return done
	})
	for _, x := range c.carriers {
		n, want := len(x.received()), 0
		if back(x.kind) || c.want(x.kind) == sent && c.faults(x.kind) == deliverytest.FaultNone {
			want = 1
		}
		if c.want(x.kind) == sent && c.faults(x.kind) != deliverytest.FaultNone {
			continue // taken, with an answer that the peer counts as a fault
		}
		if c.faults(x.kind) == deliverytest.FaultRetryAfter {
			want = min(n, 1) // the time that it asked for may be over
		}
		if n != want {
			c.t.Errorf("%s after %q: arrived %d times, want %d", x.kind, c.faults(x.kind), n, want)
		}
	}
}
