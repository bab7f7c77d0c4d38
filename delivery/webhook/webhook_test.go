package webhook_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/webhook"
	"carillon/internal/signature"
	"carillon/model"
)

const (
	current  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	previous = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
)

func secret(t *testing.T, s string) signature.Secret {
	t.Helper()
	out, err := signature.ParseSecret(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// receiver takes calls that are signed with a secret.
func receiver(t *testing.T, by string) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
		if err := signature.Verify(r.Header, body, time.Now(), secret(t, by)); err != nil {
			t.Errorf("the call is not signed: %v", err)
		}
		var in struct {
			Type string
			Data struct{ Title, Body, URL string }
		}
		if err := json.Unmarshal(body, &in); err != nil || in.Type != "notification" || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %s, %v", r.Method, r.Header, body, err)
		}
		return deliverytest.Received{ID: r.Header.Get(signature.HeaderID), Text: in.Data.Title + "\n" + in.Data.Body + "\n" + in.Data.URL},
			deliverytest.Answer{Status: http.StatusAccepted, Body: "thanks"}
	}}.Start(t)
}

var account = delivery.Account{Channel: model.ChannelWebhook, Secrets: json.RawMessage(`{"secret":"` + current + `","previousSecret":"` + previous + `"}`)}

func TestContract(t *testing.T) {
	t.Parallel()
	deliverytest.Contract{
		Kind: webhook.Kind, CarriesID: true, Shows: []string{"title", "text", "url"},
		Faults: map[deliverytest.Fault]model.ErrorClass{
			deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
			deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown,
			deliverytest.FaultUnauthorized: model.ClassTransient, deliverytest.FaultGone: model.ClassAddressDead,
			deliverytest.FaultRefused: model.ClassTransient, deliverytest.FaultRedirect: model.ClassTransient,
		},
		Peer: func(t *testing.T) deliverytest.Peer {
			p := receiver(t, current)
			return deliverytest.Peer{Account: account, Outside: deliverytest.Outside(t), To: delivery.Target{Address: p.URL + "/hook?x=1"}, Set: p.Set, Received: p.Received}
		},
	}.Run(t)
}

func send(t *testing.T, m delivery.Message) error {
	t.Helper()
	s, err := webhook.Kind.New(account, deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Send(t.Context(), m)
	return err
}

func TestRotation(t *testing.T) {
	t.Parallel()
	for _, by := range []string{current, previous} {
		p := receiver(t, by)
		if err := send(t, deliverytest.Message(model.ChannelWebhook, delivery.Target{Address: p.URL})); err != nil || len(p.Received()) != 1 {
			t.Errorf("a receiver that knows %s: %v", by, err)
		}
	}
}

func TestAddressesThatAreNotCalled(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"", "ftp://example.com", "https://user:pw@example.com", "http://10.0.0.1/", "http://0x7f.1/", "not a URL", "http://[::1]/"} {
		err := send(t, deliverytest.Message(model.ChannelWebhook, delivery.Target{Address: to}))
		if e := delivery.Classify(err); e == nil || e.Class != model.ClassPermanent || !strings.HasPrefix(e.Message, "the URL of the webhook must ") {
			t.Errorf("%q: %v", to, err)
		}
	}
}

func TestSecretsAreChecked(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string]string{"secret": `{"secret":"hush"}`, "previousSecret": `{"secret":"` + current + `","previousSecret":"whsec_aHVzaA=="}`} {
		_, err := webhook.Kind.New(delivery.Account{Secrets: json.RawMessage(secrets)}, deliverytest.Outside(t))
		if err == nil || !strings.Contains(err.Error(), "secrets."+name+" must be whsec_") {
			t.Errorf("%s: %v", secrets, err)
		}
	}
}
