package smtp

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"carillon/delivery"
	"carillon/model"
)

// compose writes the message. Whatever a person may have typed has lost its line
// breaks or is encoded before it gets into a header.
func (s *sender) compose(m delivery.Message) (*gomail.Msg, error) {
	to, err := mail.ParseAddress(m.To.Address)
	if err != nil || to.Name != "" {
		return nil, delivery.Errorf(model.ClassPermanent, "the address is not an e-mail address")
	}
	msg := gomail.NewMsg()
	addresses := []struct {
		header gomail.AddrHeader
		mail.Address
	}{
		{gomail.HeaderFrom, mail.Address{Name: s.FromName, Address: s.From}},
		{gomail.HeaderTo, mail.Address{Name: m.Name, Address: to.Address}},
		{gomail.HeaderReplyTo, mail.Address{Address: cmp.Or(m.Headers[model.HeaderReplyTo], s.ReplyTo)}},
	}
	for _, a := range addresses {
		if a.Address.Address == "" {
			continue
		}
		a.Name = delivery.Cut(delivery.OneLine(a.Name), 200)
		if err := msg.SetAddrHeader(a.header, a.Address.String()); err != nil {
			return nil, &delivery.Error{Class: model.ClassPermanent, Message: "the address cannot be written into a mail", Err: err}
		}
	}
	msg.Subject(delivery.OneLine(m.Title))
	msg.SetDateWithValue(m.FiredAt)
	msg.SetMessageIDWithValue(string(m.ID) + "@" + domainOf(s.From))
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	if err := setHeaders(msg, m); err != nil {
		return nil, err
	}
	text := m.Plain()
	if text == "" {
		text = m.Title
	}
	msg.SetBodyString(gomail.TypeTextPlain, text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, attach(msg, m.Attachments)
}

func attach(msg *gomail.Msg, list []model.Attachment) error {
	for _, a := range list {
		kind := cmp.Or(a.ContentType, "application/octet-stream")
		if err := msg.AttachReader(delivery.OneLine(a.Name), bytes.NewReader(a.Content), gomail.WithFileContentType(gomail.ContentType(kind))); err != nil {
			return &delivery.Error{Class: model.ClassPermanent, Message: fmt.Sprintf("the file %q cannot be attached", a.Name), Err: err}
		}
	}
	return nil
}

func setHeaders(msg *gomail.Msg, m delivery.Message) error {
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		value := m.Headers[name]
		if wrong := model.CheckHeader(name, value); wrong != "" {
			return delivery.Errorf(model.ClassPermanent, "the mail's headers: %s", wrong)
		}
		if name != model.HeaderReplyTo { // which is an address, and set as one
			msg.SetGenHeader(gomail.Header(name), value)
		}
	}
	if m.Unsubscribe == "" {
		return nil
	}
	if strings.ContainsFunc(m.Unsubscribe, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' }) {
		return delivery.Errorf(model.ClassPermanent, "the address for unsubscribing is not a URL")
	}
	// RFC 8058. The URL must not be encoded, nor folded in its middle.
	msg.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribe, fmt.Sprintf("<%s>", m.Unsubscribe))
	msg.SetGenHeaderPreformatted(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	return nil
}
