package webpush_test

import (
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/webpush"
	"carillon/model"
)

// environment has a key pair.
type environment struct{ key *ecdh.PrivateKey }

func (e environment) PushPrivateKey(_ context.Context, env model.EnvID) (model.PushKey, []byte, error) {
	if env != 7 {
		return model.PushKey{}, nil, errors.New("asked for the key of another environment")
	}
	return model.PushKey{EnvID: env, Public: encode(e.key.PublicKey().Bytes())}, e.key.Bytes(), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func newKey(t *testing.T) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// client is a browser with a subscription.
type client struct {
	key  *ecdh.PrivateKey
	auth []byte
	env  environment
}

func newClient(t *testing.T) client {
	t.Helper()
	return client{newKey(t), []byte("sixteen-byte-key"), environment{newKey(t)}}
}

func (c client) subscription(endpoint string) string {
	b, _ := json.Marshal(map[string]any{"endpoint": endpoint, "expirationTime": nil, "keys": map[string]string{"p256dh": encode(c.key.PublicKey().Bytes()), "auth": encode(c.auth)}})
	return string(b)
}

// service is a push service that checks who pushes, and has the browser decrypt.
func (c client) service(t *testing.T) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{TLS: true, Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
		c.checkIdentity(t, r)
		if r.Method != http.MethodPost || r.URL.Path != "/push/abc" || r.Header.Get("Content-Encoding") != "aes128gcm" || len(r.Header.Get("Topic")) != 32 {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		if ttl := r.Header.Get("Ttl"); ttl < "3500" || ttl > "3600" {
			t.Errorf("TTL %s, want about an hour", ttl)
		}
		plain, err := deliverytest.DecryptPush(body, c.key, c.auth)
		if err != nil {
			t.Fatalf("the browser cannot decrypt it: %v", err)
		}
		var p struct {
			Title, Body, URL string
			Data             struct {
				DeliveryID   string
				CustomerData struct{ ID int64 }
			}
		}
		if err := json.Unmarshal(plain, &p); err != nil || p.Data.CustomerData.ID != 4711 {
			t.Errorf("%v in %s", err, plain)
		}
		return deliverytest.Received{ID: p.Data.DeliveryID, Text: p.Title + "\n" + p.Body + "\n" + p.URL},
			deliverytest.Answer{Status: http.StatusCreated, Header: map[string]string{"Location": "https://push.example/m/1"}}
	}}.Start(t)
}

func (c client) checkIdentity(t *testing.T, r *http.Request) {
	t.Helper()
	token, key, ok := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "vapid t="), ", k=")
	if !ok || key != encode(c.env.key.PublicKey().Bytes()) {
		t.Errorf("Authorization: %s", r.Header.Get("Authorization"))
	}
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) {
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), c.env.key.PublicKey().Bytes())
	}, jwt.WithValidMethods([]string{"ES256"}), jwt.WithExpirationRequired(), jwt.WithAudience("https://"+r.Host), jwt.WithSubject("mailto:ops@example.com"))
	if exp, _ := claims.GetExpirationTime(); err != nil || time.Until(exp.Time) > 24*time.Hour {
		t.Errorf("the token does not hold: %v, %v", err, claims)
	}
}

var account = delivery.Account{Env: 7, Channel: model.ChannelWebPush, Config: json.RawMessage(`{"subject":"mailto:ops@example.com"}`)}

func TestContract(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	deliverytest.Contract{
		Kind: webpush.NewKind(c.env), CarriesID: true, Shows: []string{"title", "text", "url"},
		Faults: map[deliverytest.Fault]model.ErrorClass{
			deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
			deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown,
			deliverytest.FaultUnauthorized: model.ClassPermanent, deliverytest.FaultGone: model.ClassAddressDead,
			deliverytest.FaultRefused: model.ClassPermanent, deliverytest.FaultRedirect: model.ClassPermanent,
		},
		Peer: func(t *testing.T) deliverytest.Peer {
			p := c.service(t)
			return deliverytest.Peer{Account: account, Outside: deliverytest.Outside(t), To: delivery.Target{Address: c.subscription(p.URL + "/push/abc")}, Set: p.Set, Received: p.Received}
		},
	}.Run(t)
}

func send(t *testing.T, c client, m delivery.Message) error {
	t.Helper()
	s, err := webpush.NewKind(c.env).New(account, deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Send(t.Context(), m)
	return err
}

func TestLargeMessagesAreMadeToFit(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	var size int
	p := deliverytest.HTTP{TLS: true, Take: func(t *testing.T, _ *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
		size = len(body)
		plain, err := deliverytest.DecryptPush(body, c.key, c.auth)
		if err != nil {
			t.Error(err)
		}
		return deliverytest.Received{Text: string(plain)}, deliverytest.Answer{Status: http.StatusCreated}
	}}.Start(t)
	m := deliverytest.Message(model.ChannelWebPush, delivery.Target{Address: c.subscription(p.URL + "/push/abc")})
	m.Text, m.Data = strings.Repeat("Grüße ", 2000), json.RawMessage(`{"large":"`+strings.Repeat("x", 5000)+`"}`)
	if err := send(t, c, m); err != nil || size > 4096 {
		t.Errorf("%d bytes, %v", size, err)
	}
	m.Text = "short"
	if err := send(t, c, m); err != nil || !strings.Contains(p.Received()[1].Text, `"body":"short"`) {
		t.Errorf("only data was too large: %v", err)
	}
	m.URL = "https://example.com/" + strings.Repeat("a", 4000)
	if err := send(t, c, m); delivery.Classify(err) == nil || delivery.Classify(err).Class != model.ClassPermanent {
		t.Errorf("what cannot be made to fit: %v", err)
	}
}

func TestEndpointsThatAreNotCalled(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, endpoint := range []string{
		"", "http://push.example/", "https://push.example:8443/", "https://10.0.0.1/", "https://[::1]/", "https://0x7f.1/", "https://user:pw@push.example/",
		"https://2130706433/", "ftp://push.example/", "https://169.254.169.254/latest/", "https://localhost:22/", "https://[::ffff:10.0.0.1]/",
	} {
		out := deliverytest.Outside(t)
		out.Guard.Allow = nil
		s, err := webpush.NewKind(c.env).New(account, out)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Send(t.Context(), deliverytest.Message(model.ChannelWebPush, delivery.Target{Address: c.subscription(endpoint)}))
		if e := delivery.Classify(err); e == nil || e.Class != model.ClassPermanent || !strings.HasPrefix(e.Message, "the endpoint of the subscription must ") {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}

func TestSubscriptionsThatAreNone(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	good := c.subscription("https://push.example/push/abc")
	key := encode(c.key.PublicKey().Bytes())
	for _, address := range []string{
		"", "[]", "https://push.example/push/abc", strings.Replace(good, key, "", 1), strings.Replace(good, key, key[:40], 1),
		strings.Replace(good, key, encode(make([]byte, 65)), 1), strings.Replace(good, encode(c.auth), "AAAA", 1), strings.Replace(good, encode(c.auth), "*", 1),
	} {
		err := send(t, c, deliverytest.Message(model.ChannelWebPush, delivery.Target{Address: address}))
		if e := delivery.Classify(err); e == nil || e.Class != model.ClassAddressDead {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for subject, ok := range map[string]bool{"mailto:ops@example.com": true, "https://example.com/contact": true, "mailto:": false, "ops@example.com": false, "http://example.com": false, "mailto:A <a@example.com>": false} {
		config, _ := json.Marshal(map[string]string{"subject": subject})
		_, err := webpush.NewKind(environment{}).New(delivery.Account{Config: config}, deliverytest.Outside(t))
		if (err == nil) != ok {
			t.Errorf("%q: %v", subject, err)
		}
	}
}
