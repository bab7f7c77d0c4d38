package fcm_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/fcm"
	"carillon/model"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// google is the token server and FCM.
type google struct {
	*deliverytest.HTTPPeer
	fetched atomic.Int64
	refuse  atomic.Bool  // the account
	life    atomic.Int64 // of tokens, in seconds
}

func newGoogle(t *testing.T) *google {
	t.Helper()
	g := &google{}
	g.life.Store(3599)
	g.HTTPPeer = deliverytest.HTTP{
		Other: func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			if r.URL.Path == "/token" {
				g.token(t, w, body)
				return true
			}
			return false
		},
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			var in struct {
				Message struct {
					Token        string
					Notification struct{ Title, Body string }
					Data         map[string]string
					Android      struct {
						TTL          string
						CollapseKey  string `json:"collapse_key"`
						Notification struct{ Tag string }
					}
				}
			}
			if err := json.Unmarshal(body, &in); err != nil || r.URL.Path != "/v1/projects/carillon-test/messages:send" {
				t.Errorf("%s: %v in %s", r.URL, err, body)
			}
			m := in.Message
			if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer token-") || m.Token != "device:token" || m.Android.CollapseKey != "order-17" || m.Android.Notification.Tag == "" || m.Data["order"] != `{"id":17}` {
				t.Errorf("%v %s", r.Header, body)
			}
			return deliverytest.Received{ID: m.Data["deliveryId"], Text: m.Notification.Title + "\n" + m.Notification.Body + "\n" + m.Data["url"]},
				deliverytest.JSONAnswer(200, `{"name":"projects/carillon-test/messages/0:1"}`)
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultError:        deliverytest.JSONAnswer(500, `{"error":{"code":500,"message":"x","status":"INTERNAL"}}`),
			deliverytest.FaultRateLimited:  deliverytest.JSONAnswer(429, `{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"QUOTA_EXCEEDED"}]}}`),
			deliverytest.FaultRetryAfter:   deliverytest.JSONAnswer(503, `{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}`, "Retry-After: 7"),
			deliverytest.FaultInside:       deliverytest.JSONAnswer(200, `{"error":{"code":404,"message":"x","status":"NOT_FOUND"}}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(401, `{"error":{"code":401,"message":"x","status":"UNAUTHENTICATED"}}`),
			deliverytest.FaultGone:         deliverytest.JSONAnswer(404, `{"error":{"code":404,"message":"x","status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}`),
			deliverytest.FaultRefused:      deliverytest.JSONAnswer(400, `{"error":{"code":400,"message":"Message too big","status":"INVALID_ARGUMENT"}}`),
		},
	}.Start(t)
	return g
}

// token answers as Google's server does, once it has checked the assertion.
func (g *google) token(t *testing.T, w http.ResponseWriter, body []byte) {
	form, _ := url.ParseQuery(string(body))
	_, err := jwt.Parse(form.Get("assertion"), func(token *jwt.Token) (any, error) {
		if token.Header["kid"] != "key-1" {
			return nil, fmt.Errorf("kid %v", token.Header["kid"])
		}
		return &key().PublicKey, nil
	}, jwt.WithValidMethods([]string{"RS256"}), jwt.WithIssuer("carillon@test.example"), jwt.WithAudience(g.URL+"/token"), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(2*time.Hour))
	if err != nil || form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		t.Errorf("the assertion does not hold: %v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	if g.refuse.Load() {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`))
		return
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":%d,"token_type":"Bearer"}`, g.fetched.Add(1), g.life.Load())
}

func (g *google) account() delivery.Account {
	der, err := x509.MarshalPKCS8PrivateKey(key())
	if err != nil {
		panic(err)
	}
	account, _ := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "carillon-test", "private_key_id": "key-1", "client_email": "carillon@test.example", "token_uri": g.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	secrets, _ := json.Marshal(map[string]string{"serviceAccount": string(account)})
	return delivery.Account{Channel: model.ChannelMobilePush, Config: json.RawMessage(`{"endpoint":"` + g.URL + `"}`), Secrets: secrets}
}

var to = delivery.Target{Address: "device:token", Platform: model.PlatformAndroid}

func TestContract(t *testing.T) {
	t.Parallel()
	deliverytest.Contract{
		Kind: fcm.Kind, CarriesID: true, Shows: []string{"title", "text", "url"},
		Faults: map[deliverytest.Fault]model.ErrorClass{
			deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
			deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown,
			deliverytest.FaultMalformed: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown, deliverytest.FaultInside: model.ClassAddressDead,
			deliverytest.FaultUnauthorized: model.ClassAuth, deliverytest.FaultGone: model.ClassAddressDead,
			deliverytest.FaultRefused: model.ClassPermanent, deliverytest.FaultRedirect: model.ClassPermanent,
		},
		Peer: func(t *testing.T) deliverytest.Peer {
			g := newGoogle(t)
			return deliverytest.Peer{Account: g.account(), Outside: deliverytest.Outside(t), To: to, Set: g.Set, Received: g.Received}
		},
	}.Run(t)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	g := newGoogle(t)
	now := time.Now()
	out := deliverytest.Outside(t)
	out.Now = func() time.Time { return now }
	s, err := fcm.Kind.New(g.account(), out)
	if err != nil {
		t.Fatal(err)
	}
	send := func() *delivery.Error {
		_, err := s.Send(t.Context(), deliverytest.Message(model.ChannelMobilePush, to))
		return delivery.Classify(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if e := send(); e != nil {
				t.Error(e)
			}
		})
	}
	wg.Wait()
	if n := g.fetched.Load(); n != 1 {
		t.Errorf("8 concurrent sends fetched %d tokens, want 1", n)
	}
	now = now.Add(59 * time.Minute)
	if e := send(); e != nil || g.fetched.Load() != 2 {
		t.Errorf("at the end of the token: %v, %d fetched, want a second", e, g.fetched.Load())
	}
	g.Set(deliverytest.FaultUnauthorized)
	if e := send(); e == nil || e.Class != model.ClassTransient {
		t.Errorf("a kept token is refused: %v, want another try", e)
	}
	if e := send(); e == nil || e.Class != model.ClassAuth || g.fetched.Load() != 3 {
		t.Errorf("a fresh token is refused: %v, %d fetched, want AUTH", e, g.fetched.Load())
	}
	g.Set(deliverytest.FaultNone)
	g.refuse.Store(true)
	if e := send(); e == nil || e.Class != model.ClassAuth || !strings.Contains(e.Message, "invalid_grant") {
		t.Errorf("the account is refused: %v, want AUTH", e)
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	g := newGoogle(t)
	s, err := fcm.Kind.New(g.account(), deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		to   delivery.Target
		want bool
	}{
		{to, true},
		{delivery.Target{Address: "device:token", Platform: model.PlatformIOS}, true},
		{delivery.Target{}, false},
		{delivery.Target{Address: strings.Repeat("ab", 32), Platform: model.PlatformIOS}, false},
	} {
		if got := s.(delivery.Chooser).Takes(tt.to); got != tt.want {
			t.Errorf("Takes(%v) = %t", tt.to, got)
		}
	}
}

func TestSettingsNameTheField(t *testing.T) {
	t.Parallel()
	good := newGoogle(t).account()
	var secrets struct{ ServiceAccount string }
	if err := json.Unmarshal(good.Secrets, &secrets); err != nil {
		t.Fatal(err)
	}
	for old, new := range map[string]string{"http://127.0.0.1": "http://10.0.0.1", "MII": "no key", "carillon-test": "../../x", `"client_email"`: `"email"`, "{": ""} {
		a := good
		a.Secrets, _ = json.Marshal(map[string]string{"serviceAccount": strings.ReplaceAll(secrets.ServiceAccount, old, new)})
		if _, err := fcm.Kind.New(a, deliverytest.Outside(t)); err == nil || !strings.Contains(err.Error(), "secrets.serviceAccount ") {
			t.Errorf("with %q for %q: %v", new, old, err)
		}
	}
}
