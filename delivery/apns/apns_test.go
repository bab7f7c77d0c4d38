package apns_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/delivery"
	"carillon/delivery/apns"
	"carillon/delivery/deliverytest"
	"carillon/model"
)

var key = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

var (
	token = strings.Repeat("0a", 32)
	to    = delivery.Target{Address: token, Platform: model.PlatformIOS}
	uuid  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
)

type payload struct {
	APS struct {
		Alert struct{ Title, Body string }
	}
	DeliveryID string
	URL        string
	Data       any
}

func apple(t *testing.T, seen func(r *http.Request, p payload)) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{
		TLS: true,
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			if r.ProtoMajor != 2 || r.URL.Path != "/3/device/"+token || len(body) > 4096 {
				t.Errorf("%s %s, %d bytes", r.Proto, r.URL, len(body))
			}
			parsed, err := jwt.Parse(strings.TrimPrefix(r.Header.Get("Authorization"), "bearer "), func(j *jwt.Token) (any, error) { return &key().PublicKey, nil },
				jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer("TEAM012345"), jwt.WithIssuedAt(), jwt.WithLeeway(time.Hour))
			if err != nil || parsed.Header["kid"] != "KEY0123456" {
				t.Errorf("the token does not hold: %v", err)
			}
			if r.Header.Get("Apns-Topic") != "com.example.app" || r.Header.Get("Apns-Push-Type") != "alert" || !uuid.MatchString(r.Header.Get("Apns-Id")) || r.Header.Get("Apns-Collapse-Id") != "order-17" {
				t.Errorf("headers %v", r.Header)
			}
			var p payload
			if err := json.Unmarshal(body, &p); err != nil {
				t.Error(err)
			}
			if seen != nil {
				seen(r, p)
			}
			return deliverytest.Received{ID: p.DeliveryID, Text: p.APS.Alert.Title + "\n" + p.APS.Alert.Body + "\n" + p.URL}, deliverytest.Answer{}
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultError:        deliverytest.JSONAnswer(500, `{"reason":"InternalServerError"}`),
			deliverytest.FaultRateLimited:  deliverytest.JSONAnswer(429, `{"reason":"TooManyRequests"}`),
			deliverytest.FaultRetryAfter:   deliverytest.JSONAnswer(503, `{"reason":"ServiceUnavailable"}`, "Retry-After: 7"),
			deliverytest.FaultInside:       deliverytest.JSONAnswer(200, `{"reason":"BadDeviceToken"}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(403, `{"reason":"InvalidProviderToken"}`),
			deliverytest.FaultGone:         deliverytest.JSONAnswer(410, `{"reason":"Unregistered","timestamp":1614265330000}`),
			deliverytest.FaultRefused:      deliverytest.JSONAnswer(413, `{"reason":"PayloadTooLarge"}`),
		},
	}.Start(t)
}

func account(endpoint string) delivery.Account {
	der, err := x509.MarshalPKCS8PrivateKey(key())
	if err != nil {
		panic(err)
	}
	secrets, _ := json.Marshal(map[string]string{"privateKey": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	return delivery.Account{
		Config:  json.RawMessage(`{"teamId":"TEAM012345","keyId":"KEY0123456","topic":"com.example.app","endpoint":"` + endpoint + `"}`),
		Secrets: secrets, Channel: model.ChannelMobilePush,
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	deliverytest.Contract{
		Kind: apns.Kind, CarriesID: true, Shows: []string{"title", "text", "url"},
		Faults: map[deliverytest.Fault]model.ErrorClass{
			deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
			deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown,
			deliverytest.FaultMalformed: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown, deliverytest.FaultInside: model.ClassAddressDead,
			deliverytest.FaultUnauthorized: model.ClassAuth, deliverytest.FaultGone: model.ClassAddressDead,
			deliverytest.FaultRefused: model.ClassPermanent, deliverytest.FaultRedirect: model.ClassPermanent,
		},
		Peer: func(t *testing.T) deliverytest.Peer {
			p := apple(t, nil)
			return deliverytest.Peer{Account: account(p.URL), Outside: deliverytest.Outside(t), To: to, Set: p.Set, Received: p.Received}
		},
	}.Run(t)
}

func TestTheTokenIsKeptForLessThanAnHour(t *testing.T) {
	t.Parallel()
	var tokens []string
	p := apple(t, func(r *http.Request, _ payload) { tokens = append(tokens, r.Header.Get("Authorization")) })
	now := time.Now()
	out := deliverytest.Outside(t)
	out.Now = func() time.Time { return now }
	s, err := apns.Kind.New(account(p.URL), out)
	if err != nil {
		t.Fatal(err)
	}
	for _, passes := range []time.Duration{0, 40 * time.Minute, 10 * time.Minute} {
		now = now.Add(passes)
		if _, err := s.Send(t.Context(), deliverytest.Message(model.ChannelMobilePush, to)); err != nil {
			t.Fatal(err)
		}
	}
	if len(tokens) != 3 || tokens[0] != tokens[1] || tokens[1] == tokens[2] {
		t.Errorf("after 0, 40 and 50 minutes the tokens were %q", tokens)
	}
}

func TestLargeMessagesAreMadeToFit(t *testing.T) {
	t.Parallel()
	var last payload
	p := apple(t, func(_ *http.Request, p payload) { last = p })
	s, err := apns.Kind.New(account(p.URL), deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	m := deliverytest.Message(model.ChannelMobilePush, to)
	m.Text, m.Data = strings.Repeat("Grüße ", 2000), json.RawMessage(`{"large":"`+strings.Repeat("x", 5000)+`"}`)
	if _, err := s.Send(t.Context(), m); err != nil || last.Data != nil || !strings.HasSuffix(last.APS.Alert.Body, "…") {
		t.Errorf("%v: %+v", err, last)
	}
	m.Text = "short"
	if _, err := s.Send(t.Context(), m); err != nil || last.APS.Alert.Body != "short" {
		t.Errorf("only data was too large: %v: %+v", err, last)
	}
}

func TestSettingsNameTheField(t *testing.T) {
	t.Parallel()
	good := account("https://api.example.com")
	for field, config := range map[string]string{
		"config.teamId":   `{"teamId":"team","keyId":"KEY0123456","topic":"com.example.app"}`,
		"config.keyId":    `{"teamId":"TEAM012345","keyId":"","topic":"com.example.app"}`,
		"config.topic":    `{"teamId":"TEAM012345","keyId":"KEY0123456","topic":"a b"}`,
		"config.endpoint": `{"teamId":"TEAM012345","keyId":"KEY0123456","topic":"com.example.app","endpoint":"https://10.0.0.1"}`,
	} {
		if _, err := apns.Kind.New(delivery.Account{Config: []byte(config), Secrets: good.Secrets}, deliverytest.Outside(t)); err == nil || !strings.Contains(err.Error(), field+" must ") {
			t.Errorf("%s: %v", config, err)
		}
	}
	if _, err := apns.Kind.New(delivery.Account{Config: good.Config, Secrets: []byte(`{"privateKey":"-----BEGIN"}`)}, deliverytest.Outside(t)); err == nil || !strings.Contains(err.Error(), "secrets.privateKey must ") {
		t.Errorf("a key that is none: %v", err)
	}
}
