// Package webpush sends encrypted messages to the push services of browsers. The
// address comes from the end user's browser, so anybody could have made it up:
// only https on its own port is called, what is answered is not shown to anybody,
// and no refusal is held against the account.
package webpush

import (
	"cmp"
	"context"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/delivery"
	"carillon/model"
)

// Keys gives the key pair that the subscriptions of an environment are bound to:
// the public point, and the scalar of 32 bytes.
type Keys interface {
	PushPrivateKey(ctx context.Context, env model.EnvID) (key model.PushKey, private []byte, err error)
}

// NewKind is Web Push with the keys of the environments.
func NewKind(keys Keys) *delivery.Kind {
	return &delivery.Kind{
		Name: "webpush", Title: "Web Push", Channels: []model.Channel{model.ChannelWebPush},
		Fields: []delivery.Field{
			{Name: "subject", Help: "whom push services write to when something is wrong: mailto:ops@example.com, or an https URL", Type: delivery.FieldText, Required: true},
		},
		// A second copy replaces the first one in the service by its topic, and on the
		// screen by its tag.
		Dedupes: true,
		New: func(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
			s := &sender{env: a.Env, keys: keys, out: out}
			if err := a.Into(&s.settings, nil); err != nil {
				return nil, err
			}
			var c model.Check
			c.That(validSubject(s.Subject), "must be mailto: with an e-mail address, or an https URL", "config", "subject")
			return s, c.Err()
		},
	}
}

func validSubject(s string) bool {
	if address, ok := strings.CutPrefix(s, "mailto:"); ok {
		a, err := mail.ParseAddress(address)
		return err == nil && a.Name == ""
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Host != ""
}

type settings struct {
	Subject string `json:"subject"`
}

type sender struct {
	settings
	env  model.EnvID
	keys Keys
	out  delivery.Outside
}

// subscription is a browser's PushSubscription.
type subscription struct {
	Endpoint string `json:"endpoint"`
	Keys     struct {
		P256dh string `json:"p256dh"`
		Auth   string `json:"auth"`
	} `json:"keys"`
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	var to subscription
	if json.Unmarshal([]byte(m.To.Address), &to) != nil {
		return delivery.Receipt{}, delivery.Errorf(model.ClassAddressDead, "the address is not a PushSubscription")
	}
	at, err := s.out.Guard.CheckPushEndpoint(to.Endpoint)
	if err != nil {
		return delivery.Receipt{}, delivery.Errorf(model.ClassPermanent, "the endpoint of the subscription %v", err)
	}
	b, err := newBrowser(to.Keys.P256dh, to.Keys.Auth)
	if err != nil {
		return delivery.Receipt{}, &delivery.Error{Class: model.ClassAddressDead, Message: "the keys of the subscription are not those of a browser", Err: err}
	}
	plain, err := compose(m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	body, err := seal(b, plain)
	if err != nil {
		return delivery.Receipt{}, &delivery.Error{Class: model.ClassPermanent, Message: "the message cannot be encrypted for this subscription", Err: err}
	}
	header, err := s.header(ctx, at, m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	answer, err := s.out.Post(ctx, at.String(), header, body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if e := delivery.StatusError(answer.Status, answer.Header, nil, s.out.Now()); e != nil {
		e.Class = classOf(e)
		return delivery.Receipt{}, e
	}
	return delivery.Receipt{MessageID: delivery.Cut(answer.Header.Get("Location"), 200), Status: answer.Status}, nil
}

func classOf(e *delivery.Error) model.ErrorClass {
	switch {
	case e.Status == http.StatusNotFound:
		return model.ClassAddressDead
	case e.Class == model.ClassAuth:
		return model.ClassPermanent // the subscription was made for another key
	}
	return e.Class
}

func seal(b browser, plain []byte) ([]byte, error) {
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	return b.encrypt(plain, ours, salt)
}

// header says who we are (VAPID, RFC 8292), and for how long the message is of use.
func (s *sender) header(ctx context.Context, at *url.URL, m delivery.Message) (http.Header, error) {
	key, private, err := s.keys.PushPrivateKey(ctx, s.env)
	if err != nil {
		return nil, &delivery.Error{Class: model.ClassTransient, Message: "the key of the environment could not be read", Err: err}
	}
	signer, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), private)
	if err != nil {
		return nil, &delivery.Error{Class: model.ClassConfig, Message: "the key of the environment cannot be used"}
	}
	now := s.out.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"aud": at.Scheme + "://" + at.Host, "exp": now.Add(12 * time.Hour).Unix(), "sub": s.Subject,
	}).SignedString(signer)
	if err != nil {
		return nil, &delivery.Error{Class: model.ClassConfig, Message: "the key of the environment cannot be used"}
	}
	topic := sha256.Sum256([]byte(cmp.Or(m.CollapseKey, string(m.ID))))
	return http.Header{
		"Authorization":    {fmt.Sprintf("vapid t=%s, k=%s", token, key.Public)},
		"Content-Type":     {"application/octet-stream"},
		"Content-Encoding": {"aes128gcm"},
		"Ttl":              {strconv.Itoa(int(m.TTL(now) / time.Second))},
		"Topic":            {base64.RawURLEncoding.EncodeToString(topic[:24])}, // 32 characters, as many as it may have
		"Urgency":          {"normal"},
	}, nil
}

// push is what a service worker gets. customerData and engagespot are as workers
// for Engagespot read them.
type push struct {
	Title string   `json:"title"`
	Body  string   `json:"body,omitempty"`
	Icon  string   `json:"icon,omitempty"`
	URL   string   `json:"url,omitempty"`
	Tag   string   `json:"tag"`
	Data  pushData `json:"data"`
}

type pushData struct {
	Delivery     model.DeliveryID     `json:"deliveryId"`
	Notification model.NotificationID `json:"notificationId"`
	Custom       json.RawMessage      `json:"custom,omitempty"`
	CustomerData customerData         `json:"customerData"`
	Engagespot   struct {
		User string `json:"userIdentifier"`
	} `json:"engagespot"`
}

type customerData struct {
	ID    model.NotificationID `json:"id"`
	Title string               `json:"title"`
	Body  string               `json:"body,omitempty"`
	Icon  string               `json:"icon,omitempty"`
	URL   string               `json:"url,omitempty"`
}

// compose makes the message fit: first the send's own data is left out, which a
// worker can ask for, then the text is cut.
func compose(m delivery.Message) ([]byte, error) {
	p := push{Title: delivery.Cut(m.Title, 250), Body: m.Text, Icon: m.Icon, URL: m.URL, Tag: cmp.Or(m.CollapseKey, string(m.ID))}
	p.Data = pushData{Delivery: m.ID, Notification: m.Notification, Custom: m.Data}
	p.Data.Engagespot.User = m.Recipient
	for limit := len(p.Body); ; limit /= 2 {
		p.Body = delivery.Cut(m.Text, limit)
		p.Data.CustomerData = customerData{m.Notification, p.Title, p.Body, p.Icon, p.URL}
		out, err := delivery.JSON(p, m.Overrides)
		switch {
		case err != nil:
			return nil, err
		case len(out) <= maxPlain:
			return out, nil
		case p.Data.Custom != nil:
			p.Data.Custom, limit = nil, 2*len(m.Text)
		case limit == 0:
			return nil, delivery.Errorf(model.ClassPermanent, "the message has more than %d bytes even without its text", maxPlain)
		}
	}
}
