// Package smtp sends e-mail through a mail server. It knows the protocol and the
// form of a message; which servers may be dialled is the dialer's to say.
package smtp

import (
	"cmp"
	"context"
	"net/http"
	"net/mail"
	"strings"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"carillon/delivery"
	"carillon/model"
)

// Kind is SMTP.
var Kind = &delivery.Kind{
	Name: "smtp", Title: "SMTP", Channels: []model.Channel{model.ChannelEmail},
	Fields: []delivery.Field{
		{Name: "host", Help: "name of the mail server", Type: delivery.FieldText, Required: true},
		{Name: "port", Help: "its port; left out: 465 for TLS, else 587", Type: delivery.FieldNumber, Min: 1, Max: 65535},
		{Name: "security", Help: "STARTTLS (the default), or TLS from the first byte; NONE sends in the clear, and no password", Type: delivery.FieldChoice, Options: []string{startTLS, implicitTLS, noTLS}},
		{Name: "username", Help: "left out: no authentication", Type: delivery.FieldText},
		{Name: "password", Help: "password of that user", Type: delivery.FieldText, Secret: true},
		{Name: "from", Help: "address that mail comes from, such as news@example.com", Type: delivery.FieldText, Required: true},
		{Name: "fromName", Help: "name beside that address", Type: delivery.FieldText},
		{Name: "replyTo", Help: "address that answers go to; left out: from", Type: delivery.FieldText},
		{Name: "helo", Help: "name that this server gives itself; left out: the domain of from", Type: delivery.FieldText},
		delivery.ReceiptsSecret(),
	},
	// Mailboxes drop a second copy by its Message-ID; where one does not, a second
	// mail is better than none.
	Reports: true,
	Dedupes: true,
	New:     open,
}

const (
	startTLS    = "STARTTLS"
	implicitTLS = "TLS"
	noTLS       = "NONE"
)

type settings struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Security string `json:"security"`
	Username string `json:"username"`
	From     string `json:"from"`
	FromName string `json:"fromName"`
	ReplyTo  string `json:"replyTo"`
	Helo     string `json:"helo"`
}

type sender struct {
	settings
	delivery.SignedReceipts
	password string
	out      delivery.Outside
}

func open(a delivery.Account, out delivery.Outside) (delivery.Sender, error) {
	s := &sender{out: out}
	var secrets struct {
		Password string `json:"password"`
	}
	if err := a.Into(&s.settings, &secrets); err != nil {
		return nil, err
	}
	s.password = secrets.Password
	s.Security = cmp.Or(s.Security, startTLS)
	if s.Port == 0 {
		s.Port = 587
		if s.Security == implicitTLS {
			s.Port = 465
		}
	}
	var c model.Check
	s.SignedReceipts = delivery.NewSignedReceipts(&c, a, out)
	s.check(&c)
	return s, c.Err()
}

func (s *sender) check(c *model.Check) {
	if err := s.out.Guard.CheckHost(s.Host); err != nil {
		c.Add(model.ProblemInvalid, err.Error(), "config", "host")
	}
	s.From = bareAddress(c, s.From, "from")
	if s.ReplyTo != "" {
		s.ReplyTo = bareAddress(c, s.ReplyTo, "replyTo")
	}
	s.Helo = cmp.Or(s.Helo, domainOf(s.From))
	c.That(!strings.ContainsAny(s.Helo, " \t<>"), "must be a host name", "config", "helo")
	switch {
	case s.Username != "" && s.password == "":
		c.Add(model.ProblemRequired, "is required where there is a username", "secrets", "password")
	case s.Username == "" && s.password != "":
		c.Add(model.ProblemRequired, "is required where there is a password", "config", "username")
	}
	c.That(s.Security != noTLS || s.password == "", "must be STARTTLS or TLS where there is a password", "config", "security")
}

// bareAddress reads one address and writes it anew, so that nothing of how it was
// spelled gets into the dialogue.
func bareAddress(c *model.Check, text, field string) string {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name != "" {
		c.Add(model.ProblemInvalid, "must be one e-mail address, without a name", "config", field)
		return ""
	}
	return a.Address
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	msg, err := s.compose(m)
	if err != nil {
		return delivery.Receipt{}, err
	}
	err = s.session(ctx, func(c *gomail.Client, server *smtp.Client) error {
		if err := c.SendWithSMTPClient(server, msg); err != nil {
			return judge(err)
		}
		return nil
	})
	if err != nil {
		return delivery.Receipt{}, err
	}
	return delivery.Receipt{MessageID: msg.GetMessageID(), Status: 250, Answer: msg.ServerResponse()}, nil
}

// Receive implements [delivery.Receiver]. Relays name messages by their
// Message-ID, with its brackets or without.
func (s *sender) Receive(ctx context.Context, at string, header http.Header, body []byte) ([]model.Report, error) {
	reports, err := s.SignedReceipts.Receive(ctx, at, header, body)
	for i, r := range reports {
		if r.MessageID != "" && !strings.HasPrefix(r.MessageID, "<") {
			reports[i].MessageID = "<" + r.MessageID + ">"
		}
	}
	return reports, err
}

// Probe implements [delivery.Prober]: it greets, authenticates and says goodbye.
func (s *sender) Probe(ctx context.Context) error {
	return s.session(ctx, func(*gomail.Client, *smtp.Client) error { return nil })
}
