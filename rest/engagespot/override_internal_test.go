package engagespot

import (
	"encoding/json"
	"reflect"
	"testing"

	"carillon/model"
)

func TestOverridesAreReadInTheVendorsWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string // members of the body
		want []model.Override
	}{
		{`"override":{"channel":{"email":{"subject":"S","body":"<p>B</p>","to":["eve@example.com"],"from":"x"},"sms":{"message":"M"},"inApp":{"title":"T"},"pigeon":{"title":"T"},"slack":{}}}`, []model.Override{
			{Channel: model.ChannelEmail, Title: "S", HTML: "<p>B</p>"}, {Channel: model.ChannelSMS, Body: "M"},
		}},
		{`"override":{"fcm":{"_config":{"key":"k"},"android":{"ttl":"5s"}},"twilio_sms":{"ContentSid":"H"},"smtp_email":{"subject":"S","_config":{}},"default_webhook":{"a":1},"default_inapp":{"a":1}}`, []model.Override{
			{Channel: model.ChannelWebhook, Merge: json.RawMessage(`{"a":1}`)},
			{Provider: "fcm", Merge: json.RawMessage(`{"android":{"ttl":"5s"}}`)},
			{Channel: model.ChannelEmail, Provider: "smtp", Title: "S"},
			{Channel: model.ChannelSMS, Provider: "twilio", Merge: json.RawMessage(`{"ContentSid":"H"}`)},
		}},
		{`"override":{"fcm":{"_config":{}},"channel":{"email":{}}}`, nil},
		{`"override":{"channel":{"email":{"subject":7,"body":{"a":1}}}}`, nil},
	} {
		got, err := sendRequest(json.RawMessage(`{"notification":{"title":"T"},"recipients":["ada"],` + tt.in + `}`))
		if err != nil || !reflect.DeepEqual(got.Options.Overrides, tt.want) {
			t.Errorf("%s: %+v, %v; want %+v", tt.in, got.Options.Overrides, err, tt.want)
		}
	}
	got, err := sendRequest(json.RawMessage(`{"notification":{"title":"T","content":{"email":{"content":{"subject":"S"}},"sms":{}}},"recipients":["ada"]}`))
	if want := []model.Override{{Channel: model.ChannelEmail, Title: "S"}}; err != nil || !reflect.DeepEqual(got.Options.Overrides, want) {
		t.Errorf("inline content: %+v, %v; want %+v", got.Options.Overrides, err, want)
	}
}
