package main

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/delivery/deliverytest"
	"carillon/internal/signature"
)

// Faults that come from where a provider is said to be, not from what it does.
const (
	faultNobody   deliverytest.Fault = "connection refused"
	faultStranger deliverytest.Fault = "certificate of a stranger"
)

// carrier is a provider of the tests: an account at a peer on loopback, and an
// address that the peer delivers to.
type carrier struct {
	kind, channel string
	config        map[string]any
	secrets       map[string]any
	address       string // where the peer delivers to
	set           func(deliverytest.Fault)
	received      func() []deliverytest.Received
}

// place is where a provider is said to be.
func place(f deliverytest.Fault, stranger, peer string) string {
	switch f {
	case faultNobody:
		return "https://127.0.0.1:1"
	case faultStranger:
		return stranger
	default:
		return peer
	}
}

// accounts are what providers' accounts are made of; making the keys takes time.
var accounts = sync.OnceValue(func() (a struct{ google, apple string }) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	a.google = inPEM(key)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	a.apple = inPEM(p256)
	return a
})

func inPEM(key any) string {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// stranger is a server whose certificate nobody has vouched for.
func stranger(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(deliverytest.Listen(t), &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn) // which shakes hands first
			}()
		}
	}()
	return "https://" + l.Addr().String()
}

// carriers starts a peer for each channel; faults says which of them is somewhere
// else.
func carriers(t *testing.T, faults func(kind string) deliverytest.Fault, elsewhere string) []*carrier {
	t.Helper()
	list := []*carrier{
		mailServer(t, faults("smtp"), elsewhere), twilioPeer(t, faults("twilio"), elsewhere), googlePeer(t, faults("fcm"), elsewhere),
		applePeer(t, faults("apns"), elsewhere), pushService(t, faults("webpush"), elsewhere), slackPeer(t, faults("slack"), elsewhere), webhookPeer(t, faults("webhook"), elsewhere),
	}
	for _, c := range list {
		c.set(faults(c.kind))
	}
	return list
}

func httpCarrier(c *carrier, p *deliverytest.HTTPPeer) *carrier {
	c.set, c.received = p.Set, p.Received
	return c
}

// member reads one member of a JSON object, by its path.
func member(body []byte, path ...string) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	s, _ := v.(string)
	return s
}

func twilioPeer(t *testing.T, f deliverytest.Fault, elsewhere string) *carrier {
	t.Helper()
	const sid, number = "AC0123456789abcdef0123456789abcdef", "+4930123456"
	p := deliverytest.HTTP{
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			form, err := url.ParseQuery(string(body))
			if user, pass, _ := r.BasicAuth(); err != nil || user != sid || pass != "an-auth-token" || form.Get("To") != number {
				t.Errorf("Twilio got %v from %s", form, user)
			}
			return deliverytest.Received{Text: form.Get("Body")}, deliverytest.JSONAnswer(http.StatusCreated, `{"sid":"SM1","status":"queued","error_code":null}`)
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultMalformed: {Status: http.StatusCreated, Body: "<html>"},
			deliverytest.FaultInside:    deliverytest.JSONAnswer(http.StatusCreated, `{"sid":"SM1","status":"failed","error_code":21610,"error_message":"unsubscribed"}`),
			deliverytest.FaultGone:      deliverytest.JSONAnswer(http.StatusBadRequest, `{"code":21614,"message":"not a mobile number","status":400}`),
		},
	}.Start(t)
	return httpCarrier(&carrier{
		kind: "twilio", channel: "SMS", address: number,
		config: map[string]any{"accountSid": sid, "from": "+15005550006", "endpoint": place(f, elsewhere, p.URL)}, secrets: map[string]any{"authToken": "an-auth-token"},
	}, p)
}

func googlePeer(t *testing.T, f deliverytest.Fault, elsewhere string) *carrier {
	t.Helper()
	p := deliverytest.HTTP{
		Other: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			if r.URL.Path != "/token" {
				return false
			}
			_, _ = io.WriteString(w, `{"access_token":"a-token","expires_in":3599,"token_type":"Bearer"}`)
			return true
		},
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			if r.URL.Path != "/v1/projects/bells/messages:send" || r.Header.Get("Authorization") != "Bearer a-token" || member(body, "message", "token") != "an:android-token" {
				t.Errorf("FCM got %s %s", r.URL, body)
			}
			return deliverytest.Received{
				ID: member(body, "message", "data", "deliveryId"), Text: member(body, "message", "notification", "title") + "\n" + member(body, "message", "notification", "body"),
			}, deliverytest.JSONAnswer(http.StatusOK, `{"name":"projects/bells/messages/0:1"}`)
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultInside:       deliverytest.JSONAnswer(http.StatusOK, `{"error":{"code":404,"message":"x","status":"NOT_FOUND"}}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(http.StatusForbidden, `{"error":{"code":403,"message":"x","status":"PERMISSION_DENIED"}}`),
			deliverytest.FaultGone:         deliverytest.JSONAnswer(http.StatusNotFound, `{"error":{"code":404,"message":"x","status":"NOT_FOUND","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}`),
		},
	}.Start(t)
	account, _ := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "bells", "private_key_id": "key-1", "client_email": "bells@example.com", "token_uri": p.URL + "/token", "private_key": accounts().google,
	})
	return httpCarrier(&carrier{
		kind: "fcm", channel: "MOBILE_PUSH", address: "an:android-token",
		config: map[string]any{"endpoint": place(f, elsewhere, p.URL)}, secrets: map[string]any{"serviceAccount": string(account)},
	}, p)
}

func applePeer(t *testing.T, f deliverytest.Fault, elsewhere string) *carrier {
	t.Helper()
	token := strings.Repeat("0a", 32)
	p := deliverytest.HTTP{
		TLS: true,
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			if r.ProtoMajor != 2 || r.URL.Path != "/3/device/"+token || r.Header.Get("Apns-Topic") != "com.example.bells" || !strings.HasPrefix(r.Header.Get("Authorization"), "bearer ") {
				t.Errorf("APNs got %s %s over %s", r.URL, body, r.Proto)
			}
			return deliverytest.Received{ID: member(body, "deliveryId"), Text: member(body, "aps", "alert", "title") + "\n" + member(body, "aps", "alert", "body")}, deliverytest.Answer{}
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultInside:       deliverytest.JSONAnswer(http.StatusOK, `{"reason":"BadDeviceToken"}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(http.StatusForbidden, `{"reason":"InvalidProviderToken"}`),
			deliverytest.FaultGone:         deliverytest.JSONAnswer(http.StatusGone, `{"reason":"Unregistered","timestamp":1614265330000}`),
		},
	}.Start(t)
	return httpCarrier(&carrier{
		kind: "apns", channel: "MOBILE_PUSH", address: token,
		config:  map[string]any{"teamId": "TEAM012345", "keyId": "KEY0123456", "topic": "com.example.bells", "endpoint": place(f, elsewhere, p.URL)},
		secrets: map[string]any{"privateKey": accounts().apple},
	}, p)
}

// pushService is a push service with the browser behind it, which decrypts.
func pushService(t *testing.T, f deliverytest.Fault, elsewhere string) *carrier {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth := []byte("sixteen-byte-key")
	p := deliverytest.HTTP{TLS: true, Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
		plain, err := deliverytest.DecryptPush(body, key, auth)
		if err != nil || !strings.HasPrefix(r.Header.Get("Authorization"), "vapid t=") {
			t.Errorf("the browser cannot decrypt what came: %v", err)
		}
		return deliverytest.Received{ID: member(plain, "data", "deliveryId"), Text: member(plain, "title") + "\n" + member(plain, "body")},
			deliverytest.Answer{Status: http.StatusCreated, Header: map[string]string{"Location": "https://push.example/m/1"}}
	}}.Start(t)
	subscription, _ := json.Marshal(map[string]any{"endpoint": place(f, elsewhere, p.URL) + "/push/abc", "keys": map[string]string{
		"auth": base64.RawURLEncoding.EncodeToString(auth), "p256dh": base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()),
	}})
	return httpCarrier(&carrier{kind: "webpush", channel: "WEB_PUSH", address: string(subscription), config: map[string]any{"subject": "mailto:ops@example.com"}}, p)
}

func slackPeer(t *testing.T, f deliverytest.Fault, elsewhere string) *carrier {
	t.Helper()
	p := deliverytest.HTTP{
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			if r.URL.Path != "/chat.postMessage" || r.Header.Get("Authorization") != "Bearer xoxb-a-token" || member(body, "channel") != "C0123456" {
				t.Errorf("Slack got %s %s", r.URL, body)
			}
			return deliverytest.Received{Text: string(body)}, deliverytest.JSONAnswer(http.StatusOK, `{"ok":true,"ts":"1.2"}`)
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultInside:       deliverytest.JSONAnswer(http.StatusOK, `{"ok":false,"error":"msg_too_long"}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(http.StatusOK, `{"ok":false,"error":"invalid_auth"}`),
			deliverytest.FaultGone:         deliverytest.JSONAnswer(http.StatusOK, `{"ok":false,"error":"channel_not_found"}`),
		},
	}.Start(t)
	return httpCarrier(&carrier{
		kind: "slack", channel: "SLACK", address: "C0123456", config: map[string]any{"endpoint": place(f, elsewhere, p.URL)}, secrets: map[string]any{"botToken": "xoxb-a-token"},
	}, p)
}

func webhookPeer(t *testing.T, f deliverytest.Fault, elsewhere string) *carrier {
	t.Helper()
	text := signature.NewSecret()
	secret, err := signature.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	p := deliverytest.HTTP{Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
		if err := signature.Verify(r.Header, body, time.Now(), secret); err != nil {
			t.Errorf("the webhook's signature: %v", err)
		}
		return deliverytest.Received{ID: r.Header.Get("Webhook-Id"), Text: member(body, "data", "title") + "\n" + member(body, "data", "body")}, deliverytest.Answer{}
	}}.Start(t)
	return httpCarrier(&carrier{kind: "webhook", channel: "WEBHOOK", address: place(f, elsewhere, p.URL) + "/hook", secrets: map[string]any{"secret": text}}, p)
}
