// Package twilio sends SMS and WhatsApp messages through Twilio, and reads what
// Twilio reports of them.
package twilio

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

const usual = "https://api.twilio.com"

// Kind is Twilio.
var Kind = &delivery.Kind{
	Name: "twilio", Title: "Twilio", Channels: []model.Channel{model.ChannelSMS, model.ChannelWhatsApp},
	Reports: true,
	Fields: []delivery.Field{
		{Name: "accountSid", Help: "id of the account (AC…)", Type: delivery.FieldText, Required: true},
		{Name: "authToken", Help: "the account's auth token; reports are verified with it", Type: delivery.FieldText, Secret: true, Required: true},
		{Name: "from", Help: "sender: a phone number in E.164, or for SMS a short code or a name; left out: messagingServiceSid", Type: delivery.FieldText},
		{Name: "messagingServiceSid", Help: "id of a messaging service (MG…) that chooses the sender", Type: delivery.FieldText},
		{Name: "statusCallback", Help: "URL that Twilio reports to; left out: this server's own, where it knows its public address", Type: delivery.FieldText},
		delivery.EndpointField(usual),
	},
	New: open,
}

type settings struct {
	AccountSID     string `json:"accountSid"`
	From           string `json:"from"`
	Service        string `json:"messagingServiceSid"`
	StatusCallback string `json:"statusCallback"`
	Endpoint       string `json:"endpoint"`
}

type sender struct {
	settings
	token   string
	own     bool // reports come to this server
	channel model.Channel
	out     delivery.Outside
}

var (
	accountSID = regexp.MustCompile(`^AC[0-9a-f]{32}$`)
	serviceSID = regexp.MustCompile(`^MG[0-9a-f]{32}$`)
	e164       = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	shortCode  = regexp.MustCompile(`^[0-9]{3,8}$`)
	alphaName  = regexp.MustCompile(`^[A-Za-z0-9 &_+-]{1,11}$`)
)

func open(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
	s := &sender{channel: a.Channel, out: out}
	var secrets struct {
		AuthToken string `json:"authToken"`
	}
	if err := a.Into(&s.settings, &secrets); err != nil {
		return nil, err
	}
	s.token = secrets.AuthToken
	var c model.Check
	s.Endpoint = out.Endpoint(&c, s.Endpoint, usual)
	c.That(accountSID.MatchString(s.AccountSID), "must be AC followed by 32 hexadecimal digits", "config", "accountSid")
	c.That(s.Service == "" || serviceSID.MatchString(s.Service), "must be MG followed by 32 hexadecimal digits", "config", "messagingServiceSid")
	switch {
	case s.From == "" && s.Service == "":
		c.Add(model.ProblemRequired, "is required where there is no messagingServiceSid", "config", "from")
	case s.From != "" && s.Service != "":
		c.Add(model.ProblemInvalid, "must be left out where there is a messagingServiceSid", "config", "from")
	case s.From != "" && s.channel == model.ChannelWhatsApp:
		c.That(e164.MatchString(s.From), "must be a phone number in E.164, such as +4930123456", "config", "from")
	case s.From != "":
		c.That(e164.MatchString(s.From) || shortCode.MatchString(s.From) || alphaName.MatchString(s.From),
			"must be a phone number in E.164, a short code, or a name of up to 11 letters and digits", "config", "from")
	}
	if s.StatusCallback == "" {
		s.StatusCallback, s.own = a.Callback, a.Callback != ""
	} else if _, err := out.Guard.CheckURL(s.StatusCallback, "https", "http"); err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "config", "statusCallback")
	}
	return s, c.Err()
}

// Twilio's limit of a message, in characters.
const maxBody = 1600

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	if !e164.MatchString(m.To.Address) {
		return delivery.Receipt{}, delivery.Errorf(model.ClassPermanent, "the phone number is not in E.164, such as +4930123456")
	}
	form, err := s.compose(m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	answer, err := s.call(ctx, http.MethodPost, "/Messages.json", form)
	if err != nil {
		return delivery.Receipt{}, err
	}
	var said struct {
		SID          string
		Status       string
		ErrorCode    *int   `json:"error_code"`
		ErrorMessage string `json:"error_message"`
	}
	switch {
	case json.Unmarshal(answer.Body, &said) != nil || said.SID == "":
		return delivery.Receipt{}, delivery.Unreadable(answer)
	case said.ErrorCode != nil || said.Status == "failed" || said.Status == "undelivered":
		return delivery.Receipt{}, refusal(answer, deref(said.ErrorCode), said.ErrorMessage)
	}
	return delivery.Receipt{MessageID: said.SID, Status: answer.Status, Answer: string(answer.Body)}, nil
}

// Probe implements [delivery.Prober]: it reads the account.
func (s *sender) Probe(ctx context.Context) error {
	_, err := s.call(ctx, http.MethodGet, ".json", nil)
	return err
}

func (s *sender) compose(m delivery.Message) (url.Values, error) {
	prefix := ""
	if s.channel == model.ChannelWhatsApp {
		prefix = "whatsapp:"
	}
	body := delivery.OneLine(m.Title)
	if text := m.Plain(); text != "" {
		body += "\n" + text
	}
	form := url.Values{"To": {prefix + m.To.Address}, "Body": {cutRunes(body, maxBody)}}
	if s.Service != "" {
		form.Set("MessagingServiceSid", s.Service)
	} else {
		form.Set("From", prefix+s.From)
	}
	switch {
	case s.own:
		form.Set("StatusCallback", s.StatusCallback+"?"+argument+"="+url.QueryEscape(string(m.ID)))
	case s.StatusCallback != "":
		form.Set("StatusCallback", s.StatusCallback)
	}
	if len(m.Overrides) == 0 {
		return form, nil
	}
	var over map[string]string
	if json.Unmarshal(m.Overrides, &over) != nil {
		return nil, delivery.Errorf(model.ClassPermanent, "the overrides for Twilio must be an object of texts, such as {\"ContentSid\": \"HX…\"}")
	}
	for name, value := range over {
		if name == "To" {
			return nil, delivery.Errorf(model.ClassPermanent, "the overrides for Twilio cannot change To")
		}
		form.Set(name, value)
	}
	return form, nil
}

func cutRunes(s string, limit int) string {
	for i := range s {
		if limit == 0 {
			return s[:i]
		}
		limit--
	}
	return s
}

// call returns an answer with a status of success, or the error.
func (s *sender) call(ctx context.Context, method, path string, form url.Values) (*dial.Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.Endpoint+"/2010-04-01/Accounts/"+s.AccountSID+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, delivery.Errorf(model.ClassConfig, "the endpoint cannot be called")
	}
	req.SetBasicAuth(s.AccountSID, s.token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := s.out.Call(req)
	if err != nil {
		return nil, err
	}
	e := delivery.StatusError(answer.Status, answer.Header, answer.Body, s.out.Now())
	if e == nil {
		return answer, nil
	}
	var said struct {
		Code    int
		Message string
	}
	if json.Unmarshal(answer.Body, &said) == nil && said.Code != 0 {
		coded := refusal(answer, said.Code, said.Message)
		coded.RetryAfter = e.RetryAfter
		coded.Class = cmp.Or(classes[said.Code], e.Class)
		return nil, coded
	}
	return nil, e
}

func refusal(a *dial.Answer, code int, message string) *delivery.Error {
	e := delivery.Errorf(cmp.Or(classes[code], model.ClassPermanent), "Twilio answered %d: %s", code, delivery.OneLine(message))
	e.Status, e.Answer = a.Status, string(a.Body)
	return e
}

// classes are Twilio's error codes whose class the HTTP status does not tell.
var classes = map[int]model.ErrorClass{
	20003: model.ClassAuth,        // the credentials are wrong
	20008: model.ClassConfig,      // test credentials
	20429: model.ClassRateLimited, // too many requests
	14107: model.ClassRateLimited, // too many messages
	21211: model.ClassAddressDead, // not a phone number
	21214: model.ClassAddressDead, // cannot be reached
	21217: model.ClassAddressDead, // not a phone number
	21401: model.ClassAddressDead, // not a phone number
	21407: model.ClassAddressDead, // does not take messages
	21610: model.ClassAddressDead, // said STOP
	21614: model.ClassAddressDead, // not a mobile number
	30003: model.ClassTransient,   // the phone is switched off
	30005: model.ClassAddressDead, // the number is unknown
	30006: model.ClassAddressDead, // a landline
	30008: model.ClassTransient,   // unknown error
	30022: model.ClassRateLimited, // too many to carriers
	21212: model.ClassConfig,      // the sender is no phone number
	21603: model.ClassConfig,      // no sender
	21606: model.ClassConfig,      // the sender cannot send
	21659: model.ClassConfig,      // the sender is not ours
	21660: model.ClassConfig,      // the sender is another account's
	21701: model.ClassConfig,      // no such messaging service
	21703: model.ClassConfig,      // the messaging service has no sender
	63007: model.ClassConfig,      // the sender has no WhatsApp
	63018: model.ClassRateLimited, // too many
	63003: model.ClassAddressDead, // has no WhatsApp
	63024: model.ClassAddressDead, // not a recipient
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}
