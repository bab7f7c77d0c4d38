package teams_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/teams"
	"carillon/model"
)

func peer(t *testing.T, answer deliverytest.Answer) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{
		Take: func(t *testing.T, _ *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			var m struct {
				Type        string
				Attachments []struct {
					ContentType string
					Content     struct {
						Type, Version string
						Body          []struct {
							Type    string
							Text    string
							Inlines []struct{ Type, Text string }
						}
						Actions []struct{ Type, URL string }
					}
				}
			}
			if err := json.Unmarshal(body, &m); err != nil || m.Type != "message" || len(m.Attachments) != 1 || m.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" {
				t.Fatalf("%v in %s", err, body)
			}
			var shown string
			for _, b := range m.Attachments[0].Content.Body {
				if b.Type != "RichTextBlock" || b.Text != "" {
					t.Errorf("a %s, in which Teams would parse %q", b.Type, b.Text)
				}
				for _, run := range b.Inlines {
					shown += run.Text + "\n"
				}
			}
			for _, a := range m.Attachments[0].Content.Actions {
				shown += a.URL + "\n"
			}
			return deliverytest.Received{Text: shown}, answer
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultInside: {Body: "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 403 with ContextId tcid=1"},
			deliverytest.FaultRateLimited: {
				Body: "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId tcid=0,server=SG2PEPF000000B4",
			},
		},
	}.Start(t)
}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]deliverytest.Answer{"Workflow": {Status: http.StatusAccepted}, "IncomingWebhook": {Body: "1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deliverytest.Contract{
				Kind: teams.Kind, Shows: []string{"title", "text", "url"},
				Faults: map[deliverytest.Fault]model.ErrorClass{
					deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
					deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown,
					deliverytest.FaultMalformed: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown, deliverytest.FaultInside: model.ClassPermanent,
					deliverytest.FaultUnauthorized: model.ClassPermanent, deliverytest.FaultGone: model.ClassAddressDead,
					deliverytest.FaultRefused: model.ClassPermanent, deliverytest.FaultRedirect: model.ClassPermanent,
				},
				Peer: func(t *testing.T) deliverytest.Peer {
					p := peer(t, answer)
					return deliverytest.Peer{Outside: deliverytest.Outside(t), To: delivery.Target{Address: p.URL + "/workflows/1?sig=x"}, Set: p.Set, Received: p.Received}
				},
			}.Run(t)
		})
	}
}

func TestAddressesThatAreNotCalled(t *testing.T) {
	t.Parallel()
	s, err := teams.Kind.New(delivery.Account{}, deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"", "general", "http://10.0.0.1/", "https://0x7f.1/"} {
		_, err := s.Send(t.Context(), deliverytest.Message(model.ChannelTeams, delivery.Target{Address: to}))
		if e := delivery.Classify(err); e == nil || e.Class != model.ClassPermanent {
			t.Errorf("%q: %v", to, err)
		}
	}
}
