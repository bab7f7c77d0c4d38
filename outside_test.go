package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/app"
	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/internal/config"
	"carillon/internal/dial"
	"carillon/model"
)

// outside is a server that trusts the certificates of the tests' peers, with
// customers whose providers are such peers.
type outside struct {
	*embedded
	parts    *parts
	stranger string

	mu      sync.Mutex
	hanging map[string]bool // environment and kind whose answers are not waited for long
}

func startOutside(t *testing.T) *outside {
	t.Helper()
	return startReaching(t, dial.Config{RootCAs: deliverytest.Roots(), Guard: dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
}

// startReaching starts a server that reaches the world as told.
func startReaching(t *testing.T, world dial.Config) *outside {
	t.Helper()
	o := &outside{embedded: &embedded{dir: filepath.Join(t.TempDir(), "data"), out: new(buffer)}, hanging: map[string]bool{}, stranger: stranger(t)}
	cfg, err := config.Read([]string{"ADDR=127.0.0.1:0", "METRICS_ADDR=off", "DATA_DIR=" + o.dir, "DEMO=false", "PUBLIC_URL=https://bells.example"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.OutgoingAllow = world.Guard.Allow
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := newServer(t.Context(), cfg, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	d := dial.New(world)
	s.parts.delivery.Outside = delivery.Outside{Dial: d.DialContext, HTTP: d.HTTP(), Guard: d.Guard, TLS: d.TLS()}
	s.parts.webhooks.HTTP, s.parts.webhooks.Guard = d.HTTP(), d.Guard
	s.parts.delivery.Kinds = o.impatient(s.parts.delivery.Kinds)
	o.parts, o.url = s.parts, "http://"+s.listener.Addr().String()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		d.HTTP().CloseIdleConnections()
	})
	return o
}

// impatient are kinds that wait for 300 ms only where o says that the peer hangs.
func (o *outside) impatient(kinds delivery.Kinds) delivery.Kinds {
	list := kinds.All()
	for i, k := range list {
		own := *k
		own.New = func(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
			s, err := k.New(a, out)
			o.mu.Lock()
			defer o.mu.Unlock()
			if err != nil || !o.hanging[fmt.Sprint(a.Env, k.Name)] {
				return s, err
			}
			return hurried{s}, nil
		}
		list[i] = &own
	}
	return delivery.NewKinds(list...)
}

type hurried struct{ delivery.Sender }

func (h hurried) Takes(to delivery.Target) bool {
	c, ok := h.Sender.(delivery.Chooser)
	return !ok || c.Takes(to)
}

func (h hurried) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	return h.Sender.Send(ctx, m)
}

// customer is an environment with a user who is reached over all carriers.
type customer struct {
	*outside
	t        *testing.T
	key      string // secret
	carriers []*carrier
	faults   func(kind string) deliverytest.Fault
}

func (o *outside) environment(t *testing.T, name string) app.Created {
	t.Helper()
	made, err := o.parts.apps.CreateEnvironment(t.Context(), app.NewEnvironment{App: name, Kind: model.EnvTest, UserAuth: model.AuthOpen})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func none(string) deliverytest.Fault { return deliverytest.FaultNone }

func (o *outside) customer(t *testing.T, name string, faults func(kind string) deliverytest.Fault) *customer {
	t.Helper()
	made := o.environment(t, name)
	c := &customer{outside: o, t: t, key: made.SecretKey, carriers: carriers(t, faults, o.stranger), faults: faults}
	var providers, ways strings.Builder
	for i, x := range c.carriers {
		o.mu.Lock()
		o.hanging[fmt.Sprint(made.Environment.ID, x.kind)] = faults(x.kind) == deliverytest.FaultHang
		o.mu.Unlock()
		fmt.Fprintf(&providers, "p%d: createProvider(input: {kind: %q, channel: %s, config: %s, secrets: %s}) { userErrors { path message } }\n", i, x.kind, x.channel, literal(x.config), literal(x.secrets))
		switch x.kind {
		case "smtp", "twilio":
		case "fcm":
			fmt.Fprintf(&ways, "w%d: registerDevice(input: {user: \"ada\", deviceId: \"a\", platform: ANDROID, token: %q}) { userErrors { path message } }\n", i, x.address)
		case "apns":
			fmt.Fprintf(&ways, "w%d: registerDevice(input: {user: \"ada\", deviceId: \"i\", platform: IOS, token: %q}) { userErrors { path message } }\n", i, x.address)
		case "webpush":
			fmt.Fprintf(&ways, "w%d: registerDevice(input: {user: \"ada\", deviceId: \"b\", platform: WEB, webPushSubscription: %s}) { userErrors { path message } }\n", i, literal(json.RawMessage(x.address)))
		default:
			fmt.Fprintf(&ways, "w%d: addAddress(input: {user: \"ada\", channel: %s, address: %q}) { userErrors { path message } }\n", i, x.channel, x.address)
		}
	}
	c.ask("mutation {" + providers.String() + "}")
	c.ask(`mutation { identifyUser(input: {identifier: "ada", firstName: "Ada", email: "ada@example.com", phoneNumber: "+4930123456"}) { userErrors { path message } } ` + ways.String() + "}")
	return c
}

// literal writes a value as GraphQL does.
func literal(v any) string {
	b, _ := json.Marshal(v)
	var decoded any
	_ = json.Unmarshal(b, &decoded)
	switch v := decoded.(type) {
	case map[string]any:
		var out strings.Builder
		for _, name := range slices.Sorted(maps.Keys(v)) {
			fmt.Fprintf(&out, " %s: %s", name, literal(v[name]))
		}
		return "{" + out.String() + "}"
	case nil:
		return "{}"
	default:
		return string(b)
	}
}

// ask has the API do something, which must work.
func (c *customer) ask(query string) map[string]any {
	c.t.Helper()
	data := c.query(c.t, c.key, query)
	if s := fmt.Sprint(data); strings.Contains(s, "userErrors:[map") {
		c.t.Fatalf("%s: %s", query, s)
	}
	return data
}

// shown is a delivery as the log has it.
type shown struct {
	Channel, Address, State, Detail string
	Attempts                        []struct {
		Number            int
		Kind              string
		ErrorClass        string
		StartedAt, NextAt time.Time
	}
}

// log reads the deliveries of the user's newest notification, by kind.
func (c *customer) log() map[string]shown {
	c.t.Helper()
	b, _ := json.Marshal(c.ask(`{ user(identifier: "ada") { inbox(first: 1) { nodes { deliveries { channel address state detail attempts { number kind errorClass startedAt nextAt } } } } } }`))
	var data struct {
		User struct {
			Inbox struct {
				Nodes []struct{ Deliveries []shown }
			}
		}
	}
	if err := json.Unmarshal(b, &data); err != nil || len(data.User.Inbox.Nodes) != 1 {
		c.t.Fatalf("%s: %v", b, err)
	}
	out := map[string]shown{}
	for _, d := range data.User.Inbox.Nodes[0].Deliveries {
		i := slices.IndexFunc(c.carriers, func(x *carrier) bool {
			return x.channel == d.Channel && (x.channel != "MOBILE_PUSH" || x.address == d.Address)
		})
		if i < 0 {
			c.t.Fatalf("a delivery that is nobody's: %+v", d)
		}
		if _, twice := out[c.carriers[i].kind]; twice {
			c.t.Errorf("two deliveries of %s", c.carriers[i].kind)
		}
		out[c.carriers[i].kind] = d
	}
	return out
}

// until waits until the log is as ok wants it.
func (c *customer) until(what string, ok func(kind string, d shown) bool) (log map[string]shown) {
	c.t.Helper()
	late := ""
	defer func() {
		if late != "" {
			c.t.Logf("not there yet: %s after %q: %+v", late, c.faults(late), log[late])
		}
	}()
	eventually(c.t, what, func() bool {
		log, late = c.log(), ""
		for _, x := range c.carriers {
			if !ok(x.kind, log[x.kind]) {
				late = x.kind
				return false
			}
		}
		return true
	})
	return log
}
