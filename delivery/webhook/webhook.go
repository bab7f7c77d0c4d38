// Package webhook posts notifications to a URL of the user's, signed as Standard
// Webhooks says. Any receiver may misbehave as it likes: nothing that one answers
// is held against the account, which serves them all.
package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"carillon/delivery"
	"carillon/internal/signature"
	"carillon/model"
)

// Kind is the webhook.
var Kind = &delivery.Kind{
	Name: "webhook", Title: "Webhook", Channels: []model.Channel{model.ChannelWebhook},
	Fields: []delivery.Field{
		{Name: "secret", Help: "whsec_ and 24 to 64 bytes as base64, which calls are signed with", Type: delivery.FieldText, Secret: true, Required: true},
		{Name: "previousSecret", Help: "the secret before it, while receivers change over: calls are signed with both", Type: delivery.FieldText, Secret: true},
		delivery.ReceiptsSecret(),
	},
	Reports: true,
	Dedupes: true, // by webhook-id, as the specification asks of receivers
	New:     open,
}

type sender struct {
	delivery.SignedReceipts
	secrets []signature.Secret
	out     delivery.Outside
}

func open(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
	var given struct {
		Secret   string `json:"secret"`
		Previous string `json:"previousSecret"`
	}
	if err := a.Into(nil, &given); err != nil {
		return nil, err
	}
	var c model.Check
	s := &sender{SignedReceipts: delivery.NewSignedReceipts(&c, a, out), out: out}
	for _, f := range []struct{ name, text string }{{"secret", given.Secret}, {"previousSecret", given.Previous}} {
		if f.text == "" {
			continue
		}
		secret, err := signature.ParseSecret(f.text)
		if err != nil {
			c.Add(model.ProblemInvalid, err.Error(), "secrets", f.name)
		}
		s.secrets = append(s.secrets, secret)
	}
	return s, c.Err()
}

// payload is the body of a call.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

type notification struct {
	Delivery     model.DeliveryID     `json:"deliveryId"`
	Notification model.NotificationID `json:"notificationId"`
	Send         string               `json:"sendId"`
	User         string               `json:"user"`
	Category     string               `json:"category,omitempty"`
	Title        string               `json:"title"`
	Body         string               `json:"body,omitempty"`
	Icon         string               `json:"icon,omitempty"`
	URL          string               `json:"url,omitempty"`
	Blocks       []model.Block        `json:"blocks,omitempty"`
	Data         json.RawMessage      `json:"data,omitempty"`
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if _, err := s.out.Guard.CheckURL(m.To.Address, "https", "http"); err != nil {
		return delivery.Receipt{}, delivery.Errorf(model.ClassPermanent, "the URL of the webhook %v", err)
	}
	body, err := delivery.JSON(payload{"notification", m.FiredAt.UTC(), notification{
		m.ID, m.Notification, m.Send, m.Recipient, m.Category, m.Title, m.Text, m.Icon, m.URL, m.Blocks, m.Data,
	}}, m.Overrides)
	if err != nil {
		return delivery.Receipt{}, err
	}
	header := http.Header{}
	for name, value := range m.Headers {
		header.Set(name, value)
	}
	header.Set("Content-Type", "application/json")
	signature.Sign(header, string(m.ID), s.out.Now(), body, s.secrets...)
	answer, err := s.out.Post(ctx, m.To.Address, header, body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := delivery.StatusError(answer.Status, answer.Header, answer.Body, s.out.Now()); err != nil {
		err.Class = classOf(err)
		return delivery.Receipt{}, err
	}
	return delivery.Receipt{Status: answer.Status, Answer: string(answer.Body)}, nil
}

// classOf has every refusal tried again, as the specification wants it: what a
// receiver answers today may be a mistake of its own.
func classOf(e *delivery.Error) model.ErrorClass {
	if e.Class == model.ClassAddressDead || e.Class == model.ClassRateLimited {
		return e.Class
	}
	return model.ClassTransient
}
