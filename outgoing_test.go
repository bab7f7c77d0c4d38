package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"carillon/delivery/deliverytest"
	"carillon/internal/dial"
	"carillon/internal/dial/dialtest"
	"carillon/internal/signature"
)

// browserKey is the public key of a browser.
var browserKey = sync.OnceValue(func() string {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes())
})

// privates are ways of writing an address of this machine or its network, or a
// name that stands for one.
var privates = []string{
	"127.0.0.1", "127.0.0.1.", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.01", "0", "0.0.0.0",
	"localhost", "LOCALHOST.", "a.localhost", "localhost%00", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
	"[2002:7f00:1::]", "[::1%25lo]", "[fe80::1%25eth0]", "[fd00:ec2::254]", "169.254.169.254", "0xa9fea9fe", "[::ffff:a9fe:a9fe]", "10.0.0.1", "100.64.0.1",
	"１２７.０.０.１", "127。0。0。1", "ⓛocalhost", "%31%32%37.0.0.1", "127.0.0.1\t", " 127.0.0.1", "127.0.0.1\n", "example.com@127.0.0.1", "user:pass@127.0.0.1",
	"127.0.0.1\\@example.com", "[127.0.0.1]", "::1", "127.0.0.1..", "receiver.example", "receiver.example.", "xn--bcher-kva.example", "RECEIVER.example",
}

// TestNothingPrivateIsCalled asks for every kind of call to private addresses and
// to names that stand for them: as addresses of users, as endpoints and mail
// servers of providers, and as targets of tests.
func TestNothingPrivateIsCalled(t *testing.T) {
	t.Parallel()
	four, six := dialtest.NewPair(t)
	o := startReaching(t, dial.Config{Resolver: dialtest.Names(t, dialtest.Home)})
	c := &customer{outside: o, t: t, key: o.environment(t, "bells").SecretKey}
	c.ask(`mutation { identifyUser(input: {identifier: "ada", email: "ada@example.com"}) { userErrors { path message } } }`)
	providers := map[string]string{}
	for kind, settings := range map[string]string{
		"webhook": `secrets: {secret: "` + signature.NewSecret() + `"}`, "slack": "", "discord": "", "teams": "", "webpush": `config: {subject: "mailto:ops@example.com"}`,
	} {
		made := c.ask(fmt.Sprintf(`mutation { createProvider(input: {kind: %q, name: "N", %s}) { provider { id } userErrors { path message } } }`, kind, settings))
		providers[kind] = made["createProvider"].(map[string]any)["provider"].(map[string]any)["id"].(string)
	}
	tried := 0
	for i, host := range privates {
		tried += c.callPrivate(i, fmt.Sprintf("%s:%d", host, four.Port()), strings.Trim(host, "[]"), four.Port(), providers)
	}
	if tried == 0 {
		t.Error("no name passed, so nothing was tried")
	}
	c.ask(`mutation { sendNotification(input: {to: {users: ["ada"]}, title: "T"}) { userErrors { path message } } }`)
	eventually(t, "the deliveries to end", func() bool {
		return !strings.Contains(fmt.Sprint(c.ask(`{ deliveries(first: 100, filter: {states: [QUEUED, ATTEMPTING]}) { nodes { state } } }`)), "state")
	})
	for _, n := range c.ask(`{ deliveries(first: 100) { nodes { state address attempts { errorClass } } } }`)["deliveries"].(map[string]any)["nodes"].([]any) {
		if s := fmt.Sprint(n); !strings.Contains(s, "state:FAILED") || !strings.Contains(s, "errorClass:CONFIG") && !strings.Contains(s, "errorClass:PERMANENT") {
			t.Errorf("a delivery ended as %s", s)
		}
	}
	four.Silent(t)
	six.Silent(t)
}

// callPrivate has an address called in every way there is, and returns how many of
// them were not refused at once.
func (c *customer) callPrivate(i int, host, bare string, port int, providers map[string]string) (passed int) {
	c.t.Helper()
	url, push := literal("http://"+host+"/hook"), literal(map[string]any{"endpoint": "https://" + strings.TrimSuffix(host, fmt.Sprintf(":%d", port)) + "/push", "keys": map[string]string{
		"auth": "c2l4dGVlbi1ieXRlLWtleQ", "p256dh": browserKey(),
	}})
	account, _ := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "bells", "private_key_id": "key-1", "client_email": "bells@example.com", "token_uri": "http://" + host + "/token", "private_key": accounts().google,
	})
	calls := map[string]string{
		"fcm":    fmt.Sprintf(`createProvider(input: {kind: "fcm", name: "N", enabled: false, config: {endpoint: %s}, secrets: {serviceAccount: %s}})`, url, literal(strings.ReplaceAll(string(account), "http://"+host+"/token", "https://oauth2.example/token"))),
		"google": fmt.Sprintf(`createProvider(input: {kind: "fcm", name: "N", enabled: false, secrets: {serviceAccount: %s}})`, literal(string(account))),
		"apns": fmt.Sprintf(`createProvider(input: {kind: "apns", name: "N", enabled: false, config: {teamId: "TEAM012345", keyId: "KEY0123456", topic: "com.example.bells", endpoint: %s}, secrets: {privateKey: %s}})`,
			strings.Replace(url, "http:", "https:", 1), literal(accounts().apple)),
		"device": fmt.Sprintf(`registerDevice(input: {user: "ada", deviceId: "d%d", platform: WEB, webPushSubscription: %s})`, i%8, push),
		"smtp":   fmt.Sprintf(`createProvider(input: {kind: "smtp", name: "N", enabled: false, config: {host: %s, port: %d, security: "NONE", from: "a@example.com"}})`, literal(bare), port),
		"twilio": fmt.Sprintf(`createProvider(input: {kind: "twilio", channel: SMS, name: "N", enabled: false, config: {accountSid: "AC0123456789abcdef0123456789abcdef", from: "+15005550006", endpoint: %s}, secrets: {authToken: "t"}})`, url),
		"chat":   fmt.Sprintf(`createProvider(input: {kind: "slack", name: "N", enabled: false, config: {endpoint: %s}, secrets: {botToken: "xoxb-1"}})`, url),
	}
	for _, channel := range []string{"WEBHOOK", "SLACK", "DISCORD", "TEAMS"} {
		calls[channel] = fmt.Sprintf(`addAddress(input: {user: "ada", channel: %s, address: %s})`, channel, url)
	}
	if i < 20 || !strings.ContainsAny(bare, "0123456789") { // as many as an environment may have, and names
		calls["hook"] = fmt.Sprintf(`createWebhookEndpoint(input: {url: %s, types: ["notification.*"]})`, url)
	}
	tests := map[string]string{}
	for kind, id := range providers {
		to := url
		if kind == "webpush" {
			to = literal(push)
		}
		tests["t"+kind] = fmt.Sprintf(`testProvider(input: {id: %q, to: %s})`, id, to)
	}
	for name, answer := range c.tell(calls) {
		if made, ok := answer["provider"].(map[string]any); ok {
			passed++
			tests["m"+name] = fmt.Sprintf(`testProvider(input: {id: %q, to: %s})`, made["id"], map[string]string{
				"smtp": `"eve@example.com"`, "twilio": `"+4930123456"`, "chat": `"C0123456"`, "fcm": `"token"`, "google": `"token"`, "apns": literal(strings.Repeat("0a", 32)),
			}[name])
		} else if len(answer["userErrors"].([]any)) == 0 {
			passed++
		}
	}
	for name, answer := range c.tell(tests) {
		if answer["works"] == true {
			c.t.Errorf("%s says that %s works", name, host)
		}
	}
	return passed
}

// tell runs mutations, as many together as may be, and returns their payloads; they
// may be refused.
func (c *customer) tell(calls map[string]string) map[string]map[string]any {
	c.t.Helper()
	out := map[string]map[string]any{}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(calls)), 10) {
		maps.Copy(out, c.tellSome(names, calls))
	}
	return out
}

func (c *customer) tellSome(names []string, calls map[string]string) map[string]map[string]any {
	c.t.Helper()
	var query strings.Builder
	for _, name := range names {
		fields := "userErrors { path message }"
		switch {
		case strings.HasPrefix(calls[name], "createProvider"):
			fields += " provider { id }"
		case strings.HasPrefix(calls[name], "testProvider"):
			fields += " works errorClass detail"
		}
		fmt.Fprintf(&query, "%s: %s { %s }\n", name, calls[name], fields)
	}
	out := map[string]map[string]any{}
	for name, payload := range c.query(c.t, c.key, "mutation {"+query.String()+"}") {
		out[name] = payload.(map[string]any)
	}
	return out
}

// TestReceiversCannotLeadElsewhere has receivers that may be called redirect to one
// that may not, and a name stand for another address the second time.
func TestReceiversCannotLeadElsewhere(t *testing.T) {
	t.Parallel()
	bird := dialtest.NewCanary(t, "127.0.0.1:0")
	s := &httptest.Server{Listener: dialtest.Listen(t, "127.0.0.2:0"), Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		var status int
		if _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); err == nil {
			w.Header().Set("Location", "http://"+bird.Addr().String()+"/")
			w.WriteHeader(status)
		}
	})}}
	s.Start()
	t.Cleanup(s.Close)
	var moved atomic.Bool
	o := startReaching(t, dial.Config{Guard: dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}, Resolver: dialtest.Names(t, func() [4]byte {
		if moved.Load() {
			return dialtest.Home()
		}
		return [4]byte{127, 0, 0, 2}
	})})
	c := &customer{outside: o, t: t, key: o.environment(t, "bells").SecretKey}
	c.ask(`mutation { createProvider(input: {kind: "webhook", name: "W", secrets: {secret: "` + signature.NewSecret() + `"}}) { userErrors { path message } } }`)
	port := s.Listener.Addr().(*net.TCPAddr).Port
	c.ask(fmt.Sprintf(`mutation { identifyUser(input: {identifier: "ada"}) { userErrors { path message } } identifyUser2: identifyUser(input: {identifier: "eve"}) { userErrors { path message } }
		a: addAddress(input: {user: "ada", channel: WEBHOOK, address: "http://receiver.example:%d/"}) { userErrors { path message } } }`, port))
	for _, status := range []int{301, 302, 303, 307, 308} {
		c.ask(fmt.Sprintf(`mutation { addAddress(input: {user: "eve", channel: WEBHOOK, address: "%s/%d"}) { userErrors { path message } } }`, s.URL, status))
	}
	send := func(user, state, class string, n int) {
		t.Helper()
		c.ask(fmt.Sprintf(`mutation { sendNotification(input: {to: {users: [%q]}, title: "T"}) { userErrors { path message } } }`, user))
		eventually(t, "deliveries to "+user, func() bool {
			log := fmt.Sprint(c.ask(fmt.Sprintf(`{ user(identifier: %q) { inbox(first: 1) { nodes { deliveries { state attempts { errorClass detail } } } } } }`, user)))
			return strings.Count(log, "state:"+state) == n && strings.Count(log, "errorClass:"+class) >= n
		})
	}
	send("eve", "RETRYING", "TRANSIENT", 5)
	send("ada", "SENT", "<nil>", 1)
	moved.Store(true)
	send("ada", "FAILED", "CONFIG", 1)
	bird.Silent(t)
}

// TestProviderTestsTellNothingOfPorts tests providers at ports that are open and
// closed: what is answered, and what the log says, is the same.
func TestProviderTestsTellNothingOfPorts(t *testing.T) {
	t.Parallel()
	open := dialtest.NewCanary(t, "127.0.0.1:0")
	closed := deliverytest.Listen(t)
	closed.Close()
	o := startReaching(t, dial.Config{Resolver: dialtest.Names(t, dialtest.Home)})
	c := &customer{outside: o, t: t, key: o.environment(t, "bells").SecretKey}
	hook := c.ask(`mutation { createProvider(input: {kind: "webhook", name: "W", secrets: {secret: "` + signature.NewSecret() + `"}}) { provider { id } userErrors { path message } } }`)
	id := hook["createProvider"].(map[string]any)["provider"].(map[string]any)["id"]
	var told, logged []string
	for _, port := range []int{open.Port(), closed.Addr().(*net.TCPAddr).Port} {
		mail := c.tell(map[string]string{"m": fmt.Sprintf(`createProvider(input: {kind: "smtp", name: "M", config: {host: "mail.example", port: %d, from: "a@example.com"}})`, port)})["m"]["provider"].(map[string]any)["id"]
		told = append(told, fmt.Sprint(c.tell(map[string]string{
			"a": fmt.Sprintf(`testProvider(input: {id: %q})`, mail), "b": fmt.Sprintf(`testProvider(input: {id: %q, to: "eve@example.com"})`, mail),
			"c": fmt.Sprintf(`testProvider(input: {id: %q, to: "http://receiver.example:%d/"})`, id, port), "d": fmt.Sprintf(`testProvider(input: {id: %q, to: "http://127.0.0.1:%d/"})`, id, port),
		})))
		user := fmt.Sprint("user-of-", port)
		c.ask(fmt.Sprintf(`mutation { identifyUser(input: {identifier: %q}) { userErrors { path message } }
			addAddress(input: {user: %[1]q, channel: WEBHOOK, address: "http://receiver.example:%d/"}) { userErrors { path message } }
			sendNotification(input: {to: {users: [%[1]q]}, title: "T"}) { userErrors { path message } } }`, user, port))
		log := ""
		eventually(t, "the delivery to end", func() bool {
			log = fmt.Sprint(c.ask(fmt.Sprintf(`{ deliveries(first: 1, filter: {user: %q, states: [FAILED]}) { nodes { address state detail attempts { kind errorClass status answer detail nextAt } } } }`, user)))
			return strings.Contains(log, "FAILED")
		})
		logged = append(logged, strings.ReplaceAll(log, fmt.Sprint(port), "PORT"))
	}
	if told[0] != told[1] || !strings.Contains(told[0], "works:false") {
		t.Errorf("an open port is told as\n%s\na closed one as\n%s", told[0], told[1])
	}
	if logged[0] != logged[1] || !strings.Contains(logged[0], "errorClass:CONFIG") {
		t.Errorf("an open port is logged as\n%s\na closed one as\n%s", logged[0], logged[1])
	}
	open.Silent(t)
}
