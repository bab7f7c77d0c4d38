package twilio_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/twilio"
	"carillon/model"
)

const (
	sid   = "AC0123456789abcdef0123456789abcdef"
	token = "an-auth-token-of-twilio"
)

func peer(t *testing.T, prefix string) *deliverytest.HTTPPeer {
	t.Helper()
	return deliverytest.HTTP{
		Take: func(t *testing.T, r *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
			user, pass, _ := r.BasicAuth()
			form, err := url.ParseQuery(string(body))
			if r.URL.Path != "/2010-04-01/Accounts/"+sid+"/Messages.json" || r.Method != http.MethodPost || err != nil {
				t.Errorf("%s %s: %v", r.Method, r.URL, err)
			}
			if user != sid || pass != token || form.Get("To") != prefix+"+4930123456" || form.Get("From") != prefix+"+15005550006" || !strings.HasPrefix(form.Get("StatusCallback"), "https://carillon.example/receipts/1?delivery=") {
				t.Errorf("%s:%s sent %v", user, pass, form)
			}
			return deliverytest.Received{Text: form.Get("Body")},
				deliverytest.JSONAnswer(http.StatusCreated, `{"sid":"SM0123","status":"queued","error_code":null,"error_message":null}`)
		},
		Faults: map[deliverytest.Fault]deliverytest.Answer{
			deliverytest.FaultMalformed:    {Status: http.StatusCreated, Body: "<html>"},
			deliverytest.FaultInside:       deliverytest.JSONAnswer(http.StatusCreated, `{"sid":"SM1","status":"failed","error_code":21610,"error_message":"unsubscribed"}`),
			deliverytest.FaultUnauthorized: deliverytest.JSONAnswer(http.StatusUnauthorized, `{"code":20003,"message":"Authenticate","status":401}`),
			deliverytest.FaultGone:         deliverytest.JSONAnswer(http.StatusBadRequest, `{"code":21614,"message":"not a mobile number","status":400}`),
			deliverytest.FaultRefused:      deliverytest.JSONAnswer(http.StatusBadRequest, `{"code":21617,"message":"too long","status":400}`),
			deliverytest.FaultRetryAfter:   deliverytest.JSONAnswer(http.StatusTooManyRequests, `{"code":20429,"message":"Too Many Requests","status":429}`, "Retry-After: 7"),
		},
	}.Start(t)
}

func account(endpoint string) delivery.Account {
	return delivery.Account{
		Config:   json.RawMessage(`{"accountSid":"` + sid + `","from":"+15005550006","endpoint":"` + endpoint + `"}`),
		Secrets:  json.RawMessage(`{"authToken":"` + token + `"}`),
		Callback: "https://carillon.example/receipts/1",
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for channel, prefix := range map[model.Channel]string{model.ChannelSMS: "", model.ChannelWhatsApp: "whatsapp:"} {
		t.Run(channel.String(), func(t *testing.T) {
			t.Parallel()
			deliverytest.Contract{
				Kind: twilio.Kind, Channel: channel, Shows: []string{"title", "text", "url"},
				Faults: map[deliverytest.Fault]model.ErrorClass{
					deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited, deliverytest.FaultRetryAfter: model.ClassRateLimited,
					deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown,
					deliverytest.FaultMalformed: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown, deliverytest.FaultInside: model.ClassAddressDead,
					deliverytest.FaultUnauthorized: model.ClassAuth, deliverytest.FaultGone: model.ClassAddressDead,
					deliverytest.FaultRefused: model.ClassPermanent, deliverytest.FaultRedirect: model.ClassPermanent,
				},
				Peer: func(t *testing.T) deliverytest.Peer {
					p := peer(t, prefix)
					return deliverytest.Peer{Account: account(p.URL), Outside: deliverytest.Outside(t), To: delivery.Target{Address: "+4930123456"}, Set: p.Set, Received: p.Received}
				},
			}.Run(t)
		})
	}
}

func open(t *testing.T, a delivery.Account) delivery.Sender {
	t.Helper()
	a.Channel = model.ChannelSMS
	s, err := twilio.Kind.New(a, deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNumbersAreInE164(t *testing.T) {
	t.Parallel()
	s := open(t, account("http://127.0.0.1:1"))
	for _, to := range []string{"", "030123456", "+030123456", "+49 30 123456", "0049301234567", "+1234567890123456", "+49301234\n", "whatsapp:+4930123456", "ada@example.org"} {
		_, err := s.Send(t.Context(), deliverytest.Message(model.ChannelSMS, delivery.Target{Address: to}))
		if e := delivery.Classify(err); e == nil || e.Class != model.ClassPermanent || !strings.Contains(e.Message, "E.164") {
			t.Errorf("%q: %v", to, err)
		}
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	form := make(chan url.Values, 1)
	p := deliverytest.HTTP{Take: func(_ *testing.T, _ *http.Request, body []byte) (deliverytest.Received, deliverytest.Answer) {
		f, _ := url.ParseQuery(string(body))
		form <- f
		return deliverytest.Received{}, deliverytest.JSONAnswer(http.StatusCreated, `{"sid":"SM1"}`)
	}}.Start(t)
	m := deliverytest.Message(model.ChannelSMS, delivery.Target{Address: "+4930123456"})
	m.Overrides = json.RawMessage(`{"ContentSid":"HX1","Body":"other"}`)
	if _, err := open(t, account(p.URL)).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if f := <-form; f.Get("ContentSid") != "HX1" || f.Get("Body") != "other" {
		t.Errorf("sent %v", f)
	}
	for _, bad := range []string{`{"To":"+4930999999"}`, `[]`, `{"Body":1}`} {
		m.Overrides = json.RawMessage(bad)
		if _, err := open(t, account(p.URL)).Send(t.Context(), m); delivery.Classify(err) == nil {
			t.Errorf("the overrides %s were taken", bad)
		}
	}
}

func TestSettingsNameTheField(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		channel model.Channel
		config  string
		want    string
	}{
		{model.ChannelSMS, `{"accountSid":"` + sid + `","from":"+15005550006"}`, ""},
		{model.ChannelSMS, `{"accountSid":"` + sid + `","from":"Carillon"}`, ""},
		{model.ChannelSMS, `{"accountSid":"` + sid + `","messagingServiceSid":"MG0123456789abcdef0123456789abcdef"}`, ""},
		{model.ChannelWhatsApp, `{"accountSid":"` + sid + `","from":"Carillon"}`, "config.from must be a phone number in E.164"},
		{model.ChannelSMS, `{"accountSid":"` + sid + `","from":"A name that is long"}`, "config.from must be a phone number"},
		{model.ChannelSMS, `{"accountSid":"` + sid + `"}`, "config.from is required"},
		{model.ChannelSMS, `{"accountSid":"../x","from":"+15005550006"}`, "config.accountSid must be AC"},
		{model.ChannelSMS, `{"accountSid":"` + sid + `","messagingServiceSid":"x"}`, "config.messagingServiceSid must be MG"},
		{model.ChannelSMS, `{"accountSid":"` + sid + `","from":"+15005550006","endpoint":"http://10.0.0.1"}`, "config.endpoint must name a public host"},
		{model.ChannelSMS, `{"accountSid":"` + sid + `","from":"+15005550006","statusCallback":"x"}`, "config.statusCallback must be"},
	} {
		_, err := twilio.Kind.New(delivery.Account{Channel: tt.channel, Config: []byte(tt.config), Secrets: []byte(`{"authToken":"` + token + `"}`)}, deliverytest.Outside(t))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.config, err, tt.want)
		}
	}
}

// TestReceive begins with the example of Twilio's documentation of signatures.
func TestReceive(t *testing.T) {
	t.Parallel()
	a := account("http://127.0.0.1:1")
	a.Secrets = json.RawMessage(`{"authToken":"12345"}`)
	receiver := open(t, a).(delivery.Receiver)
	example := url.Values{"CallSid": {"CA1234567890ABCDE"}, "Caller": {"+14158675310"}, "Digits": {"1234"}, "From": {"+14158675310"}, "To": {"+18005551212"}}
	const at = "https://example.com/myapp.php?foo=1&bar=2"
	call := func(signature, at string, form url.Values) ([]model.Report, error) {
		h := http.Header{}
		if signature != "" {
			h.Set("X-Twilio-Signature", signature)
		}
		return receiver.Receive(t.Context(), at, h, []byte(form.Encode()))
	}
	if reports, err := call("L/OH5YylLD5NRKLltdqwSvS0BnU=", at, example); err != nil || len(reports) != 0 {
		t.Errorf("the documented example: %v, %v", reports, err)
	}
	for name, f := range map[string]func() ([]model.Report, error){
		"no signature": func() ([]model.Report, error) { return call("", at, example) },
		"not base64":   func() ([]model.Report, error) { return call("*", at, example) },
		"empty":        func() ([]model.Report, error) { return call("AAAA", at, example) },
		"another URL":  func() ([]model.Report, error) { return call("L/OH5YylLD5NRKLltdqwSvS0BnU=", at+"&x=1", example) },
		"another argument": func() ([]model.Report, error) {
			return call("L/OH5YylLD5NRKLltdqwSvS0BnU=", at, url.Values{"Digits": {"1"}})
		},
	} {
		if _, err := f(); !errors.Is(err, delivery.ErrUnverified) {
			t.Errorf("%s: %v, want it unverified", name, err)
		}
	}
	named := at + "&delivery=dlv1"
	form := url.Values{"MessageStatus": {"failed"}, "ErrorCode": {"21610"}}
	if reports, err := call(twilio.Sign("12345", named, form), named, form); err != nil || len(reports) != 1 || reports[0].Delivery != "dlv1" || !reports[0].Unsubscribed {
		t.Errorf("a report of STOP that names the delivery: %+v, %v", reports, err)
	}
	if _, err := call(twilio.Sign("12345", at, form), named, form); !errors.Is(err, delivery.ErrUnverified) {
		t.Errorf("a delivery that Twilio did not sign: %v", err)
	}
	for _, tt := range []struct {
		status, code string
		want         model.DeliveryState
		dead         bool
	}{
		{"delivered", "", model.DeliveryDelivered, false},
		{"read", "", model.DeliveryDelivered, false},
		{"sent", "", model.DeliverySent, false},
		{"undelivered", "30003", model.DeliveryBounced, false},
		{"failed", "30005", model.DeliveryBounced, true},
		{"failed", "21610", model.DeliveryBounced, true},
		{"queued", "", 0, false},
	} {
		form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {tt.status}, "ErrorCode": {tt.code}}
		reports, err := call(twilio.Sign("12345", at, form), at, form)
		if tt.want == 0 {
			if err != nil || len(reports) != 0 {
				t.Errorf("%s: %v, %v", tt.status, reports, err)
			}
			continue
		}
		if err != nil || len(reports) != 1 || reports[0].State != tt.want || reports[0].MessageID != "SM1" || reports[0].Dead != tt.dead {
			t.Errorf("%s %s: %+v, %v", tt.status, tt.code, reports, err)
		}
	}
}
