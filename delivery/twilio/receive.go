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
func (s *sender) Receive(_ context.Context, at string, header http.Header, body []byte) ([]delivery.Report, error) {
	form, err := url.ParseQuery(string(body))
	given := header.Values("X-Twilio-Signature")
	if err != nil || len(given) != 1 || !s.signed(given[0], form, at, s.StatusCallback) {
		return nil, delivery.ErrUnverified
	}
	code, _ := strconv.Atoi(form.Get("ErrorCode")) // absent: none
	r := delivery.Report{MessageID: form.Get("MessageSid"), At: s.out.Now()}
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
	if r.MessageID == "" {
		return nil, nil
	}
	return []delivery.Report{r}, nil
}

// signed reports whether the signature is Twilio's for a call to one of the URLs:
// what is called may be another than what the server sees, behind a proxy.
func (s *sender) signed(signature string, form url.Values, at ...string) bool {
	given, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	ok := false
	for _, u := range at {
		ok = u != "" && hmac.Equal(given, mac(s.token, u, form)) || ok
	}
	return ok
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
