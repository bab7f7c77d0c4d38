package engage

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"carillon/model"
)

// Limits of messages.
const (
	maxAddresses = 100  // that one mail goes to, copies included
	maxSMS       = 1600 // characters, as providers have it
	atATime      = 16   // sends of one mail at the same time, which share commits
)

// sent is the answer to a message: its id, which is that of the send to the
// first address.
type sent struct {
	ID string `json:"id"`
}

// sendEmail sends a mail to each address that it is for. The address in from is
// the one to reply to where reply_to names no other: what mail is sent from is a
// setting of the provider.
func (a *API) sendEmail(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "sendNotification")
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("to")
	req, addresses := c.mail(), c.mailTo()
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	return c.send(model.ChannelEmail, addresses, req)
}

// mail reads what a mail says.
func (c *call) mail() model.SendRequest {
	o := model.Override{Channel: model.ChannelEmail, HTML: c.body.Text("html")}
	req := model.SendRequest{Template: c.body.Text("template"), Channels: []model.Channel{model.ChannelEmail}}
	req.Content.Body, req.Content.Data = c.body.Text("text"), c.body.ObjectText("template_variables")
	if req.Template == "" {
		c.body.Required("subject")
		req.Content.Title = c.body.Text("subject")
		c.check.That(o.HTML != "" || req.Content.Body != "", "is required, or text, or template", "html")
	} else {
		o.Title = c.body.Text("subject")
		c.check.That(o.HTML == "", "must be left out where a template says it", "html")
	}
	if reply := c.replyTo(); reply != "" {
		o.Headers = map[string]string{"Reply-To": reply}
	}
	for _, name := range []string{"track_opens", "track_clicks"} {
		c.body.Bool(name) // nothing is tracked, but it has to be true or false
	}
	if o.Title != "" || o.HTML != "" || o.Headers != nil {
		req.Options.Overrides = []model.Override{o}
	}
	return req
}

func (c *call) replyTo() string {
	var from string
	if raw := c.body.Raw("from"); len(raw) > 0 && raw[0] == '"' {
		from = c.email(c.body.Text("from"), "from")
	} else {
		in := c.body.Object("from")
		in.Text("name")
		from = c.email(in.Text("email"), "from", "email")
	}
	if reply := c.email(c.body.Text("reply_to"), "reply_to"); reply != "" {
		return reply
	}
	return from
}

func (c *call) email(given string, path ...string) string {
	if given == "" {
		return ""
	}
	address, wrong := model.CheckEmail(given)
	if wrong != "" {
		c.check.Add(model.ProblemInvalid, wrong, path...)
	}
	return address
}

// mailTo reads the addresses of a mail, each once: to, cc and bcc.
func (c *call) mailTo() []string {
	var out []string
	for _, name := range []string{"to", "cc", "bcc"} {
		given := []string{}
		if raw := c.body.Raw(name); len(raw) > 0 && raw[0] == '[' {
			given = c.body.Texts(name)
		} else if raw != nil {
			given = append(given, c.body.Text(name))
		}
		c.check.That(name != "to" || len(given) > 0 || !c.body.Has(name), "must name at least one address", name)
		for i, one := range given {
			path := []string{name, strconv.Itoa(i)}
			c.check.That(one != "", "must not be empty", path...)
			if address := c.email(one, path...); address != "" && !slices.Contains(out, address) {
				out = append(out, address)
			}
		}
	}
	c.check.That(len(out) <= maxAddresses, fmt.Sprintf("must be at most %d addresses with cc and bcc, are %d", maxAddresses, len(out)), "to")
	return out
}

// sendSMS sends a text message. Its first line is the title of the send.
func (a *API) sendSMS(r *http.Request) (int, any, error) {
	c, err := a.begin(r, "sendNotification")
	if err != nil {
		return 0, nil, err
	}
	c.body.Required("to", "body")
	text := strings.TrimSpace(c.body.Text("body"))
	c.check.That(text != "" || !c.body.Has("body"), "must not be blank", "body")
	c.check.That(len([]rune(text)) <= maxSMS, fmt.Sprintf("must have at most %d characters", maxSMS), "body")
	to := c.phone("to")
	req := model.SendRequest{Channels: []model.Channel{model.ChannelSMS}}
	req.Content.Title, req.Content.Body, _ = strings.Cut(text, "\n")
	source, from := c.body.Text("source"), c.body.Text("from")
	c.body.Text("channel")
	c.body.Bool("track_clicks")
	if strings.EqualFold(source, "twilio") && from != "" {
		req.Options.Overrides = []model.Override{{Channel: model.ChannelSMS, Provider: "twilio", Merge: encoded(map[string]json.RawMessage{"From": quoted(from)})}}
	}
	if err := c.check.Err(); err != nil {
		return 0, nil, err
	}
	return c.send(model.ChannelSMS, []string{to}, req)
}

// phone reads a phone number, which may come as a number.
func (c *call) phone(name string) string {
	raw := c.body.Raw(name)
	if raw == nil {
		return ""
	}
	given := string(raw)
	if raw[0] == '"' {
		given = c.body.Text(name)
	}
	number := model.PhoneOf(given)
	c.check.That(number != "", "must be a phone number with the country code, such as 2348012345678", name)
	return number
}

// send sends to each address by itself, and records it with the user who has it.
func (c *call) send(channel model.Channel, addresses []string, req model.SendRequest) (int, any, error) {
	ids, errs := make([]string, len(addresses)), make([]error, len(addresses))
	users := make([]string, len(addresses))
	for i, address := range addresses {
		var err error
		if users[i], err = c.holder(channel, address); err != nil {
			return 0, nil, err
		}
	}
	var wg sync.WaitGroup
	turn := make(chan struct{}, atATime)
	for i, address := range addresses {
		turn <- struct{}{}
		wg.Go(func() {
			defer func() { <-turn }()
			one := req
			one.To.Users, one.OnUnknown = []string{users[i]}, model.UnknownReject
			one.Options.Destinations = map[model.Channel]string{channel: address}
			if one.Once = c.once; one.Once.Set() {
				one.Once.Key += "#" + strconv.Itoa(i)
			}
			out, err := c.Sends.Send(c.ctx(), c.caller.Env, one)
			if errs[i] = err; err == nil {
				ids[i] = out.Value.Send.RequestID
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, nil, unsent(renamed(err, sendWords[channel]...))
		}
	}
	return http.StatusOK, sent{ids[0]}, nil
}

// sendWords are the vendor's words for what a send is made of.
var sendWords = map[model.Channel][][2]string{
	model.ChannelEmail: {
		{"overrides.0.html", "html"},
		{"overrides.0.title", "subject"},
		{"overrides.0.headers", "reply_to"},
		{"overrides", "html"},
		{"title", "subject"},
		{"body", "text"},
		{"data", "template_variables"},
	},
	model.ChannelSMS: {{"title", "body"}, {"overrides.0.merge", "from"}},
}

// unsent is an error of a send: what a body names and is not there is a bad
// parameter to the vendor.
func unsent(err error) error {
	if e, is := errors.AsType[*model.Error](err); is && e.Kind == model.KindNotFound {
		e.Kind = model.KindInvalid
	}
	return err
}

// holder is the user who has an address; nobody having it, one is made who has
// nothing else, whom the application may give its uid later.
func (c *call) holder(channel model.Channel, address string) (string, error) {
	hash := sha256.Sum256([]byte(address))
	ch := model.UserChange{Identifier: "address-" + hex.EncodeToString(hash[:16]), Unassigned: true, MatchFirst: true}
	attributes := map[string]json.RawMessage{}
	if channel == model.ChannelEmail {
		ch.Match.Email, attributes[model.AttrEmail] = address, quoted(address)
	} else {
		ch.Match.Phone, attributes[model.AttrPhoneNumber] = address, quoted(address)
	}
	merge, problems := c.Users.Merge(ch.Identifier, encoded(attributes))
	if len(problems) > 0 {
		return "", &model.Error{Kind: model.KindInvalid, Message: "invalid input", Problems: problems}
	}
	ch.Merge = merge
	out, err := c.Users.Change(c.ctx(), c.env, model.Once{}, ch)
	return out.Value.User.Identifier, err
}
