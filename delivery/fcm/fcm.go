// Package fcm sends push messages through Firebase Cloud Messaging, HTTP v1. It
// signs in with a service account and keeps the token it gets for as long as that
// is good.
package fcm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

const usual = "https://fcm.googleapis.com"

// Kind is FCM.
var Kind = &delivery.Kind{
	Name: "fcm", Title: "Firebase Cloud Messaging", Channels: []model.Channel{model.ChannelMobilePush},
	Fields: []delivery.Field{
		{Name: "serviceAccount", Help: "the JSON of the service account, from the project's settings in the Firebase console", Type: delivery.FieldLong, Secret: true, Required: true},
		delivery.EndpointField(usual),
	},
	Dedupes: true, // on the screen: a second copy takes the place of the first by its tag
	New:     open,
}

type sender struct {
	endpoint string
	tokens   *tokens
	out      delivery.Outside
}

func open(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
	var (
		config  struct{ Endpoint string }
		secrets struct{ ServiceAccount string }
		c       model.Check
	)
	if err := a.Into(&config, &secrets); err != nil {
		return nil, err
	}
	s := &sender{endpoint: out.Endpoint(&c, config.Endpoint, usual), out: out}
	account, err := readServiceAccount(secrets.ServiceAccount, out)
	if err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "secrets", "serviceAccount")
	}
	s.tokens = &tokens{serviceAccount: account, out: out, fetching: make(chan struct{}, 1)}
	return s, c.Err()
}

// apnsToken is a token that Apple gave out itself.
var apnsToken = regexp.MustCompile(`^[0-9a-fA-F]{64,200}$`)

// Takes implements [delivery.Chooser]: the tokens of Firebase's own SDKs, which
// exist for all platforms.
func (s *sender) Takes(to delivery.Target) bool {
	return to.Address != "" && !(to.Platform == model.PlatformIOS && apnsToken.MatchString(to.Address))
}

// Probe implements [delivery.Prober]: it gets a token.
func (s *sender) Probe(ctx context.Context) error {
	_, _, err := s.tokens.get(ctx)
	return err
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	body, err := s.compose(m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	token, fresh, err := s.tokens.get(ctx)
	if err != nil {
		return delivery.Receipt{}, err
	}
	answer, err := s.out.Post(ctx, s.endpoint+"/v1/projects/"+s.tokens.ProjectID+"/messages:send", http.Header{"Authorization": {"Bearer " + token}}, body)
	if err != nil {
		return delivery.Receipt{}, err
	}
	name, e := judge(answer, s.out.Now())
	if e == nil {
		return delivery.Receipt{MessageID: name, Status: answer.Status, Answer: string(answer.Body)}, nil
	}
	if answer.Status == http.StatusUnauthorized {
		s.tokens.forget(token)
		if !fresh && e.Class == model.ClassAuth {
			e.Class = model.ClassTransient // the next try has a token of its own
		}
	}
	return delivery.Receipt{}, e
}

type object map[string]any

// What of a message may take how many bytes of the 4,096 that all of it has.
const (
	maxTitle = 256
	maxText  = 1500
	maxData  = 1500
)

// compose writes the message. Where the send's own data is large it is left out:
// the app can ask for it with the ids.
func (s *sender) compose(m delivery.Message) ([]byte, error) {
	now := s.out.Now()
	tag := cmp.Or(m.CollapseKey, string(m.ID))
	android := object{
		"priority": "HIGH", "ttl": strconv.Itoa(int(m.TTL(now)/time.Second)) + "s",
		"notification": object{"tag": tag},
	}
	if m.CollapseKey != "" {
		android["collapse_key"] = m.CollapseKey
	}
	webpush := object{"headers": object{"TTL": strconv.Itoa(int(m.TTL(now) / time.Second))}}
	if strings.HasPrefix(m.URL, "https://") {
		webpush["fcm_options"] = object{"link": m.URL}
	}
	return delivery.JSON(object{"message": object{
		"token":        m.To.Address,
		"notification": object{"title": delivery.Cut(m.Title, maxTitle), "body": delivery.Cut(m.Text, maxText)},
		"data":         data(m),
		"android":      android,
		"apns": object{
			"headers": object{"apns-expiration": strconv.FormatInt(m.ExpiresAt.Unix(), 10), "apns-collapse-id": delivery.Cut(tag, 64)},
			"payload": object{"aps": object{"sound": "default"}},
		},
		"webpush": webpush,
	}}, wrapped(m.Overrides))
}

// wrapped puts overrides, which are members of the message, into their place.
func wrapped(overrides json.RawMessage) json.RawMessage {
	if len(overrides) == 0 || string(overrides) == "null" {
		return nil
	}
	return bytes.Join([][]byte{[]byte(`{"message":`), overrides, []byte(`}`)}, nil)
}

// reserved are names that FCM keeps for itself.
var reserved = regexp.MustCompile(`(?i)^(from|message_type|collapse_key|notification|google.*|gcm.*)$`)

// data are our ids and the members of the send's own data, as texts, as FCM wants.
func data(m delivery.Message) map[string]string {
	ours := map[string]string{"deliveryId": string(m.ID), "notificationId": fmt.Sprint(m.Notification), "sendId": m.Send}
	if m.URL != "" {
		ours["url"] = m.URL
	}
	var members map[string]json.RawMessage
	if len(m.Data) > maxData || json.Unmarshal(m.Data, &members) != nil {
		return ours
	}
	for name, value := range members {
		if _, taken := ours[name]; taken || reserved.MatchString(name) {
			continue
		}
		var text string
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		ours[name] = text
	}
	return ours
}

// judge reads the answer. An error may stand in a 200 as well.
func judge(a *dial.Answer, now time.Time) (name string, _ *delivery.Error) {
	var said struct {
		Name  string
		Error *struct {
			Code    int
			Message string
			Status  string
			Details []struct {
				ErrorCode       string
				FieldViolations []struct{ Field string }
			}
		}
	}
	e := delivery.StatusError(a.Status, a.Header, a.Body, now)
	unread := json.Unmarshal(a.Body, &said) != nil
	if said.Error == nil || unread {
		if e == nil && (unread || said.Name == "") {
			e = delivery.Unreadable(a)
		}
		return said.Name, e
	}
	code, field := said.Error.Status, ""
	for _, d := range said.Error.Details {
		code = cmp.Or(d.ErrorCode, code)
		for _, v := range d.FieldViolations {
			field = cmp.Or(v.Field, field)
		}
	}
	if e == nil {
		e = &delivery.Error{Class: model.ClassPermanent, Status: a.Status, Answer: string(a.Body)}
	}
	e.Class = classOf(code, field, said.Error.Message, e.Class)
	e.Message = "FCM answered " + delivery.OneLine(delivery.Cut(code+": "+said.Error.Message, 300))
	return "", e
}

func classOf(code, field, message string, byStatus model.ErrorClass) model.ErrorClass {
	switch code {
	case "UNREGISTERED", "NOT_FOUND", "SENDER_ID_MISMATCH":
		return model.ClassAddressDead
	case "INVALID_ARGUMENT":
		if field == "message.token" || strings.Contains(message, "registration token is not a valid") {
			return model.ClassAddressDead
		}
		return model.ClassPermanent
	case "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED":
		return model.ClassRateLimited
	case "UNAVAILABLE", "INTERNAL":
		if byStatus == model.ClassRateLimited { // it said when to come back
			return byStatus
		}
		return model.ClassTransient
	case "THIRD_PARTY_AUTH_ERROR", "UNAUTHENTICATED", "PERMISSION_DENIED":
		return model.ClassAuth
	}
	return byStatus
}
