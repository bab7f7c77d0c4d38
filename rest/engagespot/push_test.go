package engagespot_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/webpush"
	"carillon/internal/dial"
	"carillon/model"
)

// TestWebPushesReachTheBrowser registers a browser by the dialect's route, and
// has what is sent by the dialect arrive at its push service, encrypted for it
// and signed with the key that connect gave.
func TestWebPushesReachTheBrowser(t *testing.T) {
	w := onSQLite(t)
	w.users.Guard = dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	deliver := &delivery.Service{
		Store: w.store, Kinds: delivery.NewKinds(webpush.NewKind(w.apps)), Box: w.box, Outside: deliverytest.Outside(t),
		Log: slog.New(slog.DiscardHandler), Now: w.clock.Now, Tick: 10 * time.Millisecond,
	}
	w.sends.Deliver = deliver.Wake
	_, err := deliver.CreateProvider(t.Context(), w.shop.Environment.ID, model.Once{}, model.ProviderInput{
		Kind: "webpush", Channel: model.ChannelWebPush, Enabled: true, Config: json.RawMessage(`{"subject":"mailto:ops@example.com"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); deliver.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })

	type call struct {
		header http.Header
		body   []byte
	}
	calls := make(chan call, 10)
	service := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls <- call{r.Header, body}
		rw.WriteHeader(http.StatusCreated)
	}))
	service.TLS = deliverytest.TLS()
	service.StartTLS()
	t.Cleanup(service.Close)

	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth, encode := []byte("sixteen-byte-key"), base64.RawURLEncoding.EncodeToString
	connected := w.ok(200, "POST", "/v3/sdk/connect", nil, as(w.shop, "ada")...)["app"].(map[string]any)
	if connected["enableWebPush"] != true {
		t.Fatalf("connect answers %v", connected)
	}
	w.ok(200, "POST", "/v3/devices/laptop/webPushSubscription", map[string]any{
		"endpoint": service.URL + "/push/1", "expirationTime": nil, "keys": map[string]string{"p256dh": encode(key.PublicKey().Bytes()), "auth": encode(auth)},
	}, as(w.shop, "ada")...)
	w.ok(202, "POST", "/v3/notifications", `{"notification":{"title":"Hello","message":"World","url":"/there"},"recipients":["ada"],
		"override":{"channels":["inApp","webPush"],"default_webpush":{"requireInteraction":true}}}`, asApp(w.shop)...)
	var got call
	select {
	case got = <-calls:
	case <-time.After(20 * time.Second):
		t.Fatal("no push came within 20 s")
	}
	if by := got.header.Get("Authorization"); !strings.HasSuffix(by, "k="+connected["publicKey"].(string)) {
		t.Errorf("signed by %s, want the key of connect, %v", by, connected["publicKey"])
	}
	plain, err := deliverytest.DecryptPush(got.body, key, auth)
	if err != nil {
		t.Fatal(err)
	}
	push := decode[struct {
		RequireInteraction bool
		Data               struct {
			Engagespot   struct{ UserIdentifier string }
			CustomerData struct {
				ID               int64
				Title, Body, URL string
			}
		}
	}](t, string(plain))
	if c := push.Data.CustomerData; c.Title != "Hello" || c.Body != "World" || c.URL != "/there" || push.Data.Engagespot.UserIdentifier != "ada" || !push.RequireInteraction {
		t.Errorf("pushed %s", plain)
	}
	// What the worker does when it is clicked.
	if clicked := w.ok(200, "POST", path("/v3/notifications/%d/click", push.Data.CustomerData.ID), nil, as(w.shop, "ada")...); clicked["clickedAt"] == nil {
		t.Errorf("clicked: %v", clicked)
	}
}
