package slack_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/slack"
	"carillon/model"
)

const token = "xoxb-a-token-of-a-bot"

type message struct {
	Channel, Text string
	LinkNames     *bool `json:"link_names"`
	Blocks        []struct {
		Type     string
		Text     text
		Elements []struct {
			Text text
			URL  string
		}
	}
}

type text struct{ Type, Text string }

func read(t *testing.T, body []byte) (m message, shown string) {
	t.Helper()
	if err := json.Unmarshal(body, &m); err != nil {
		t.Errorf("%v in %s", err, body)
	}
	plain := func(x text) {
		if x.Type != "plain_text" {
			t.Errorf("a text of the type %q, which Slack would parse", x.Type)
		}
		shown += x.Text + "\n"
	}
	for _, b := range m.Blocks {
		if b.Type == "actions" {
			for _, e := range b.Elements {
				plain(e.Text)
				shown += e.URL + "\n"
			}
			continue
		}
		plain(b.Text)
	}
	return m, shown
}

func api(t *testing.T) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			m, shown := read(t, body)
			if r.URL.Path != "/chat.postMessage" || r.Header.Get("Authorization") != "Bearer "+token || m.Channel != "C0123ABC" {
				t.Errorf("%s %v to %q", r.URL, r.Header, m.Channel)
			}
			return deliverytest.Received{Text: shown}, deliverytest.JSONAnswer(200, `{"ok":true,"ts":"1503435956.000247"}`)
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultInside:       deliverytest.JSONAnswer(200, `{"ok":false,"error":"msg_too_long"}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(200, `{"ok":false,"error":"invalid_auth"}`),
			deliverytest.FaultGone:         deliverytest.JSONAnswer(200, `{"ok":false,"error":"channel_not_found"}`),
			deliverytest.FaultRetryAfter:   deliverytest.JSONAnswer(429, `{"ok":false,"error":"ratelimited"}`, "Retry-After: 7"),
		},
	}.Start(t)
}

func hook(t *testing.T) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			m, shown := read(t, body)
			if r.URL.Path != "/services/T0/B0/XX" || r.Header.Get("Authorization") != "" || m.Channel != "" {
				t.Errorf("%s %v", r.URL, r.Header)
			}
			return deliverytest.Received{Text: shown}, deliverytest.Answer{Body: "ok"}
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultGone: {Status: 404, Body: "no_service"}, deliverytest.FaultRefused: {Status: 400, Body: "invalid_payload"},
		},
	}.Start(t)
}

// common is what comes of faults over either way.
func with(more map[deliverytest.Fault]model.ErrorClass) map[deliverytest.Fault]model.ErrorClass {
	faults := map[deliverytest.Fault]model.ErrorClass{
		deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
		deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown,
		deliverytest.FaultMalformed: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown, deliverytest.FaultGone: model.ClassAddressDead,
		deliverytest.FaultRefused: model.ClassPermanent, deliverytest.FaultRedirect: model.ClassPermanent,
	}
	for f, c := range more {
		faults[f] = c
	}
	return faults
}

func TestContract(t *testing.T) {
	t.Parallel()
	t.Run("API", func(t *testing.T) {
		t.Parallel()
		deliverytest.Contract{
			Kind: slack.Kind, Shows: []string{"title", "text", "url"},
			Faults: with(map[deliverytest.Fault]model.ErrorClass{deliverytest.FaultInside: model.ClassPermanent, deliverytest.FaultUnauthorized: model.ClassAuth}),
			Peer: func(t *testing.T) deliverytest.Peer {
				p := api(t)
				a := delivery.Account{Config: json.RawMessage(`{"endpoint":"` + p.URL + `/"}`), Secrets: json.RawMessage(`{"botToken":"` + token + `"}`)}
				return deliverytest.Peer{Account: a, Outside: deliverytest.Outside(t), To: delivery.Target{Address: "C0123ABC"}, Set: p.Set, Received: p.Received}
			},
		}.Run(t)
	})
	t.Run("IncomingWebhook", func(t *testing.T) {
		t.Parallel()
		deliverytest.Contract{
			Kind: slack.Kind, Shows: []string{"title", "text", "url"}, Faults: with(map[deliverytest.Fault]model.ErrorClass{deliverytest.FaultUnauthorized: model.ClassPermanent}),
			Peer: func(t *testing.T) deliverytest.Peer {
				p := hook(t)
				return deliverytest.Peer{Outside: deliverytest.Outside(t), To: delivery.Target{Address: p.URL + "/services/T0/B0/XX"}, Set: p.Set, Received: p.Received}
			},
		}.Run(t)
	})
}

func TestNothingIsMentioned(t *testing.T) {
	t.Parallel()
	got := make(chan message, 1)
	p := deliverytest.HTTP{Take: func(t *testing.T, _ *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
		m, _ := read(t, body)
		got <- m
		return deliverytest.Received{}, deliverytest.Answer{Body: "ok"}
	}}.Start(t)
	s, err := slack.Kind.New(delivery.Account{}, deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	m := deliverytest.Message(model.ChannelSlack, delivery.Target{Address: p.URL})
	m.Title, m.Text = "<!channel> <@U1> <https://evil.example|bank> & co", "<!here> @everyone"
	m.Blocks = []model.Block{{Type: "BUTTON", Text: "<!channel>", Link: "https://example.com"}}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	sent := <-got
	if strings.ContainsAny(sent.Text, "<>") || !strings.Contains(sent.Text, "&lt;!channel&gt;") || sent.LinkNames == nil || *sent.LinkNames {
		t.Errorf("the text that Slack parses is %q, link_names %v", sent.Text, sent.LinkNames)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	out := deliverytest.Outside(t)
	without, _ := slack.Kind.New(delivery.Account{}, out)
	with, _ := slack.Kind.New(delivery.Account{Secrets: json.RawMessage(`{"botToken":"xoxb-1"}`)}, out)
	for address, want := range map[string][2]bool{ // without and with a token
		"https://hooks.slack.com/services/T0/B0/XX": {true, true}, "C0123ABC": {false, true}, "U012": {false, true}, "#general": {false, false}, "": {false, false},
	} {
		to := delivery.Target{Address: address}
		if got := [2]bool{without.(delivery.Chooser).Takes(to), with.(delivery.Chooser).Takes(to)}; got != want {
			t.Errorf("%q: taken %v, want %v", address, got, want)
		}
	}
	for _, address := range []string{"http://10.0.0.1/x", "https://u:p@example.com/", "ftp://example.com/", "#general"} {
		_, err := with.Send(t.Context(), deliverytest.Message(model.ChannelSlack, delivery.Target{Address: address}))
		if e := delivery.Classify(err); e == nil || e.Class != model.ClassPermanent {
			t.Errorf("%q: %v", address, err)
		}
	}
	if _, err := slack.Kind.New(delivery.Account{Config: json.RawMessage(`{"endpoint":"http://10.0.0.1"}`), Secrets: json.RawMessage(`{"botToken":"a b"}`)}, out); err == nil ||
		!strings.Contains(err.Error(), "config.endpoint") || !strings.Contains(err.Error(), "secrets.botToken") {
		t.Errorf("bad settings: %v", err)
	}
}
