package twilio_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/delivery/twilio"
	"carillon/model"
)

// FuzzReceive holds the reader of Twilio's calls to its promises, whatever the form
// and the URL are: nothing passes without a signature, and what a signed call
// reports names a message and says where it stands.
func FuzzReceive(f *testing.F) {
	const at = "https://carillon.example/receipts/1/x?delivery=d1"
	for _, body := range []string{
		"", "MessageSid=SM1&MessageStatus=delivered", "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30003", "MessageStatus=failed&ErrorCode=21610",
		"MessageSid=SM1&MessageSid=SM2&MessageStatus=sent&MessageStatus=read", "%zz", "a=%00&;b", "ErrorCode=99999999999999999999&MessageStatus=failed",
	} {
		f.Add(at, []byte(body))
	}
	f.Add("", []byte("MessageSid=SM1&MessageStatus=sent"))
	f.Add("://%zz?delivery=%", []byte("MessageSid=SM1&MessageStatus=sent"))
	s, err := twilio.Kind.New(account("https://twilio.example"), delivery.Outside{Now: time.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, at string, body []byte) {
		form, parsed := url.ParseQuery(string(body))
		for signed, header := range map[bool]http.Header{
			false: {"X-Twilio-Signature": {twilio.Sign("another token", at, form)}}, true: {"X-Twilio-Signature": {twilio.Sign(token, at, form)}},
		} {
			reports, err := s.(delivery.Receiver).Receive(t.Context(), at, header, body)
			if (err != nil) != (!signed || parsed != nil || at == "") || err != nil && (!errors.Is(err, delivery.ErrUnverified) || reports != nil) {
				t.Fatalf("%q to %q, signed %t: %v, %v", body, at, signed, reports, err)
			}
			for _, r := range reports {
				if r.MessageID == "" && r.Delivery == "" || r.State != model.DeliverySent && r.State != model.DeliveryDelivered && r.State != model.DeliveryBounced || r.Dead && r.State != model.DeliveryBounced {
					t.Fatalf("%q reports %+v", body, r)
				}
			}
		}
	})
}
