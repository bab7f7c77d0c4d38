package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // G505: Twilio signs with HMAC-SHA1
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"carillon/delivery"
	"carillon/model"
)

// Receive implements [delivery.Receiver].
func (s *sender) Receive(_ context.Context, at string, header http.Header, body []byte) ([]model.Report, error) {
	form, err := url.ParseQuery(string(body))
	given := header.Values("X-Twilio-Signature")
	if err != nil || len(given) != 1 || !s.signed(given[0], form, at) && (s.own || !s.signed(given[0], form, s.StatusCallback)) {
		return nil, delivery.ErrUnverified
	}
	code, _ := strconv.Atoi(form.Get("ErrorCode")) // absent: none
	r := model.Report{MessageID: form.Get("MessageSid"), At: s.out.Now(), Unsubscribed: code == saidStop}
	if s.own {
		r.Delivery = deliveryOf(at)
	}
	if code != 0 {
		r.Detail = "Twilio reports the error " + strconv.Itoa(code)
	}
	switch status := form.Get("MessageStatus"); status {
	case "sent":
		r.State = model.DeliverySent
	case "delivered", "read":
		r.State = model.DeliveryDelivered
	case "undelivered", "failed":
		r.State = model.DeliveryBounced
		r.Dead = classes[code] == model.ClassAddressDead
	default: // queued, sending, accepted: nothing new
		return nil, nil
	}
	if r.MessageID == "" && r.Delivery == "" {
		return nil, nil
	}
	return []model.Report{r}, nil
}

// saidStop is the error of a number whose owner answered STOP.
const saidStop = 21610

// argument names the delivery in the URL that Twilio is given. So a report says
// which one it is about even where the call that sent it was lost.
const argument = "delivery"

// deliveryOf is the delivery that a called URL names. The signature is over the
// URL as well.
func deliveryOf(at string) model.DeliveryID {
	u, err := url.Parse(at)
	if err != nil {
		return ""
	}
	return model.DeliveryID(u.Query().Get(argument))
}

// signed reports whether the signature is Twilio's for a call to the URL.
func (s *sender) signed(signature string, form url.Values, at string) bool {
	given, err := base64.StdEncoding.DecodeString(signature)
	return err == nil && at != "" && hmac.Equal(given, mac(s.token, at, form))
}

// mac is over the URL and the arguments, sorted by name and joined without a sign
// between.
func mac(token, at string, form url.Values) []byte {
	h := hmac.New(sha1.New, []byte(token))
	h.Write([]byte(at))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		for _, value := range form[name] {
			h.Write([]byte(name + value))
		}
	}
	return h.Sum(nil)
}
