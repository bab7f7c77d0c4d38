package discord_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/discord"
	"carillon/model"
)

type message struct {
	Username string
	Content  string
	Mentions *struct{ Parse []string } `json:"allowed_mentions"`
	Embeds   []struct{ Title, Description, URL string }
}

// shown is the text as Discord shows it: a backslash hides the sign behind it from
// its parser.
func shown(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func peer(t *testing.T) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			var m message
			if err := json.Unmarshal(body, &m); err != nil || len(m.Embeds) != 1 || m.Content != "" {
				t.Fatalf("%v in %s", err, body)
			}
			if m.Mentions == nil || m.Mentions.Parse == nil || len(m.Mentions.Parse) != 0 {
				t.Errorf("mentions are allowed: %s", body)
			}
			if r.URL.Path != "/api/webhooks/1/tok" || r.URL.Query().Get("wait") != "true" || r.URL.Query().Get("thread_id") != "7" {
				t.Errorf("posted to %s", r.URL)
			}
			e := m.Embeds[0]
			return deliverytest.Received{Text: shown(e.Title + "\n" + e.Description + "\n" + e.URL)}, deliverytest.JSONAnswer(200, `{"id":"99","type":0}`)
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultGone:         deliverytest.JSONAnswer(404, `{"code":10015,"message":"Unknown Webhook"}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(401, `{"code":50027,"message":"Invalid Webhook Token"}`),
			deliverytest.FaultRetryAfter:   deliverytest.JSONAnswer(429, `{"message":"You are being rate limited.","retry_after":7.0,"global":false}`),
			deliverytest.FaultRefused:      deliverytest.JSONAnswer(400, `{"code":50035,"message":"Invalid Form Body"}`),
		},
	}.Start(t)
}

func TestContract(t *testing.T) {
	t.Parallel()
	deliverytest.Contract{
		Kind: discord.Kind, Shows: []string{"title", "text", "url"},
		Faults: map[deliverytest.Fault]model.ErrorClass{
			deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
			deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown,
			deliverytest.FaultMalformed: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown, deliverytest.FaultGone: model.ClassAddressDead,
			deliverytest.FaultUnauthorized: model.ClassAddressDead, deliverytest.FaultRefused: model.ClassPermanent, deliverytest.FaultRedirect: model.ClassPermanent,
		},
		Peer: func(t *testing.T) deliverytest.Peer {
			p := peer(t)
			return deliverytest.Peer{
				Account: delivery.Account{Config: json.RawMessage(`{"username":"Carillon"}`)}, Outside: deliverytest.Outside(t),
				To: delivery.Target{Address: p.URL + "/api/webhooks/1/tok?thread_id=7"}, Set: p.Set, Received: p.Received,
			}
		},
	}.Run(t)
}

func TestMarkupIsShownAsWritten(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"@everyone", "<@123>", "<#1>", "**bold**", "[bank](https://evil.example)", "||hidden||", "`code`", "> quote", "# head", "https://evil.example", `\*`, "- item", "<t:1:R>"} {
		escaped := discord.Escape(text)
		for i, r := range escaped {
			if strings.ContainsRune("*_~`|<>[]()#@:-", r) && (i == 0 || escaped[i-1] != '\\') {
				t.Errorf("%q is sent as %q, where %q stands bare", text, escaped, r)
			}
		}
		if got := shown(escaped); got != text {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
}

func TestAddressesThatAreNotCalled(t *testing.T) {
	t.Parallel()
	s, err := discord.Kind.New(delivery.Account{}, deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"", "123", "http://10.0.0.1/", "https://a:b@discord.com/api/webhooks/1/x"} {
		_, err := s.Send(t.Context(), deliverytest.Message(model.ChannelDiscord, delivery.Target{Address: to}))
		if e := delivery.Classify(err); e == nil || e.Class != model.ClassPermanent {
			t.Errorf("%q: %v", to, err)
		}
	}
}
