// Package apns sends push messages through Apple's push service, over HTTP/2 and
// with a token signed by the team's key.
package apns

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

const (
	production = "https://api.push.apple.com"
	sandbox    = "https://api.sandbox.push.apple.com"
)

// Kind is APNs.
var Kind = &delivery.Kind{
	Name: "apns", Title: "Apple Push Notification service", Channels: []model.Channel{model.ChannelMobilePush},
	Fields: []delivery.Field{
		{Name: "teamId", Help: "id of the team: 10 letters and digits", Type: delivery.FieldText, Required: true},
		{Name: "keyId", Help: "id of the key: 10 letters and digits", Type: delivery.FieldText, Required: true},
		{Name: "privateKey", Help: "the key itself: all of the .p8 file", Type: delivery.FieldLong, Secret: true, Required: true},
		{Name: "topic", Help: "bundle id of the app, such as com.example.app", Type: delivery.FieldText, Required: true},
		{Name: "environment", Help: "PRODUCTION (the default), or SANDBOX for builds of Xcode", Type: delivery.FieldChoice, Options: []string{"PRODUCTION", "SANDBOX"}},
		delivery.EndpointField(production),
	},
	Dedupes: true, // on the screen: a second copy takes the place of the first by apns-collapse-id
	New:     open,
}

type settings struct {
	TeamID      string `json:"teamId"`
	KeyID       string `json:"keyId"`
	Topic       string `json:"topic"`
	Environment string `json:"environment"`
	Endpoint    string `json:"endpoint"`
}

type sender struct {
	settings
	key *ecdsa.PrivateKey
	out delivery.Outside

	mu    sync.Mutex
	token string
	since time.Time
}

var (
	tenCharacters = regexp.MustCompile(`^[A-Z0-9]{10}$`)
	bundleID      = regexp.MustCompile(`^[A-Za-z0-9.-]{1,150}$`)
	deviceToken   = regexp.MustCompile(`^[0-9a-fA-F]{64,200}$`)
)

func open(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
	s := &sender{out: out}
	var secrets struct{ PrivateKey string }
	if err := a.Into(&s.settings, &secrets); err != nil {
		return nil, err
	}
	var c model.Check
	usual := production
	if s.Environment == "SANDBOX" {
		usual = sandbox
	}
	s.Endpoint = out.Endpoint(&c, s.Endpoint, usual)
	c.That(tenCharacters.MatchString(s.TeamID), "must be 10 upper-case letters and digits", "config", "teamId")
	c.That(tenCharacters.MatchString(s.KeyID), "must be 10 upper-case letters and digits", "config", "keyId")
	c.That(bundleID.MatchString(s.Topic), "must be a bundle id, such as com.example.app", "config", "topic")
	var err error
	s.key, err = jwt.ParseECPrivateKeyFromPEM([]byte(secrets.PrivateKey))
	c.That(err == nil && s.key.Curve == elliptic.P256(), "must be the text of a .p8 file: a key on P-256 in PEM", "secrets", "privateKey")
	return s, c.Err()
}

// Takes implements [delivery.Chooser]: tokens that Apple gave out.
func (s *sender) Takes(to delivery.Target) bool { return deviceToken.MatchString(to.Address) }

// Apple takes no token that is older than an hour, and no new one more often than
// every 20 minutes.
const renew = 45 * time.Minute

func (s *sender) authorization() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.out.Now()
	if s.token != "" && now.Sub(s.since).Abs() < renew {
		return s.token, nil
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": s.TeamID, "iat": now.Unix()})
	token.Header["kid"] = s.KeyID
	signed, err := token.SignedString(s.key)
	if err != nil {
		return "", delivery.Errorf(model.ClassConfig, "the key cannot sign")
	}
	s.token, s.since = "bearer "+signed, now
	return s.token, nil
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if !s.Takes(m.To) {
		return delivery.Receipt{}, delivery.Errorf(model.ClassAddressDead, "the address is not a token of Apple's")
	}
	body, err := compose(m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	authorization, err := s.authorization()
	if err != nil {
		return delivery.Receipt{}, err
	}
	id := uuidOf(m.ID)
	answer, err := s.out.Post(ctx, s.Endpoint+"/3/device/"+m.To.Address, http.Header{
		"Authorization": {authorization}, "Apns-Topic": {s.Topic}, "Apns-Push-Type": {"alert"}, "Apns-Priority": {"10"}, "Apns-Id": {id},
		"Apns-Expiration":  {strconv.FormatInt(m.ExpiresAt.Unix(), 10)},
		"Apns-Collapse-Id": {delivery.Cut(cmp.Or(m.CollapseKey, string(m.ID)), 64)},
	}, body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	if err := s.judge(answer); err != nil {
		return delivery.Receipt{}, err
	}
	return delivery.Receipt{MessageID: id, Status: answer.Status}, nil
}

// uuidOf gives a delivery an id in the form that Apple takes, always the same.
func uuidOf(id model.DeliveryID) string {
	b := sha256.Sum256([]byte(id))
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

func (s *sender) judge(a *dial.Answer) error {
	e := delivery.StatusError(a.Status, a.Header, a.Body, s.out.Now())
	var said struct{ Reason string }
	unread := json.Unmarshal(a.Body, &said) != nil
	switch {
	case e == nil && len(a.Body) > 0 && (unread || said.Reason == ""):
		return delivery.Unreadable(a)
	case e == nil && said.Reason == "":
		return nil
	case e == nil: // an error inside a 200
		e = &delivery.Error{Class: model.ClassPermanent, Status: a.Status, Answer: string(a.Body)}
	}
	if said.Reason != "" {
		e.Message = "APNs answered " + delivery.OneLine(delivery.Cut(said.Reason, 100))
	}
	if class, ok := classes[said.Reason]; ok {
		e.Class = class
	}
	if said.Reason == "ExpiredProviderToken" {
		s.mu.Lock()
		s.token = ""
		s.mu.Unlock()
	}
	return e
}

// classes are the reasons whose class the status does not tell.
var classes = map[string]model.ErrorClass{
	"BadDeviceToken": model.ClassAddressDead, "Unregistered": model.ClassAddressDead, "ExpiredToken": model.ClassAddressDead, "MissingDeviceToken": model.ClassAddressDead,
	"DeviceTokenNotForTopic": model.ClassConfig, "BadTopic": model.ClassConfig, "TopicDisallowed": model.ClassConfig, "MissingTopic": model.ClassConfig,
	"BadEnvironmentKeyIdInToken": model.ClassConfig,
	"ExpiredProviderToken":       model.ClassTransient, // the next try has a new one
	"InvalidProviderToken":       model.ClassAuth, "MissingProviderToken": model.ClassAuth, "BadCertificate": model.ClassAuth, "Forbidden": model.ClassAuth,
	"TooManyProviderTokenUpdates": model.ClassRateLimited, "TooManyRequests": model.ClassRateLimited,
	"IdleTimeout": model.ClassTransient,
}

type object map[string]any

// maxPayload is all that Apple takes.
const maxPayload = 4096

// compose makes the payload fit: first the send's own data is left out, which the
// app can ask for, then the text is cut.
func compose(m delivery.Message) ([]byte, error) {
	payload := object{
		"deliveryId": m.ID, "notificationId": m.Notification, "sendId": m.Send,
	}
	if m.URL != "" {
		payload["url"] = m.URL
	}
	if len(m.Data) > 0 {
		payload["data"] = m.Data
	}
	for limit := len(m.Text); ; limit /= 2 {
		alert := object{"title": delivery.Cut(m.Title, 256)}
		if m.Text != "" {
			alert["body"] = delivery.Cut(m.Text, limit)
		}
		payload["aps"] = object{"alert": alert, "sound": "default"}
		out, err := delivery.JSON(payload, m.Overrides)
		switch {
		case err != nil:
			return nil, err
		case len(out) <= maxPayload:
			return out, nil
		case payload["data"] != nil:
			delete(payload, "data")
			limit = 2 * len(m.Text)
		case limit == 0:
			return nil, delivery.Errorf(model.ClassPermanent, "the message has more than %d bytes even without its text", maxPayload)
		}
	}
}
