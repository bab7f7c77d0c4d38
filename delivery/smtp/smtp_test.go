package smtp_test

import (
	"context"
	"encoding/json"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
	"carillon/delivery/smtp"
	"carillon/model"
)

func TestContract(t *testing.T) {
	t.Parallel()
	deliverytest.Contract{
		Kind: smtp.Kind, CarriesID: true, Shows: []string{"title", "text", "url"},
		Faults: map[deliverytest.Fault]model.ErrorClass{
			deliverytest.FaultError: model.ClassTransient, deliverytest.FaultRateLimited: model.ClassRateLimited,
			deliverytest.FaultHang: model.ClassUnknown, deliverytest.FaultReset: model.ClassUnknown, deliverytest.FaultCut: model.ClassUnknown,
			deliverytest.FaultMalformed: model.ClassUnknown, deliverytest.FaultHuge: model.ClassUnknown,
			deliverytest.FaultUnauthorized: model.ClassAuth, deliverytest.FaultGone: model.ClassAddressDead, deliverytest.FaultRefused: model.ClassPermanent,
		},
		Peer: func(t *testing.T) deliverytest.Peer {
			p, account := start(t, "STARTTLS")
			return deliverytest.Peer{
				Account: account, Outside: deliverytest.Outside(t), To: delivery.Target{Address: "ada@example.org"}, Set: p.set,
				Received: func() (out []deliverytest.Received) {
					for _, m := range p.all() {
						_, text := parts(t, m.mail)
						out = append(out, deliverytest.Received{ID: m.mail.Header.Get("Message-Id"), Text: text})
					}
					return out
				},
			}
		},
	}.Run(t)
}

func open(t *testing.T, a delivery.Account) delivery.Sender {
	t.Helper()
	a.Channel = model.ChannelEmail
	s, err := smtp.Kind.New(a, deliverytest.Outside(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecurity(t *testing.T) {
	t.Parallel()
	for _, security := range []string{"TLS", "STARTTLS", "NONE"} {
		t.Run(security, func(t *testing.T) {
			t.Parallel()
			p, account := start(t, security)
			s := open(t, account)
			if err := s.(delivery.Prober).Probe(t.Context()); err != nil {
				t.Errorf("Probe: %v", err)
			}
			receipt, err := s.Send(t.Context(), deliverytest.Message(model.ChannelEmail, delivery.Target{Address: "ada@example.org"}))
			if err != nil || receipt.Status != 250 || receipt.MessageID != "<dlv_0123456789abcdef@example.com>" {
				t.Errorf("Send: %+v, %v", receipt, err)
			}
			if got := p.all(); len(got) != 1 || got[0].from != "news@example.com" || got[0].to != "ada@example.org" {
				t.Errorf("the server got %+v", got)
			}
		})
	}
}

// TestRefusalWithoutEnhancedCode is about servers that say no with three digits and
// a text. An address is not used again only if there is certainly no such mailbox.
func TestRefusalWithoutEnhancedCode(t *testing.T) {
	t.Parallel()
	p, account := start(t, "NONE")
	s := open(t, account)
	for answer, want := range map[string]model.ErrorClass{
		"550 No such user here": model.ClassAddressDead,
		"550 <ada@example.org>: Recipient address rejected: User unknown in local table": model.ClassAddressDead,
		"550 sorry, no mailbox here by that name":                                        model.ClassAddressDead,
		"550 Unrouteable address":                                                        model.ClassAddressDead,
		"551 User not local; please try <ada@example.net>":                               model.ClassAddressDead,
		"553 Invalid recipient ada@example.org":                                          model.ClassAddressDead,
		"554 unknown user":                                                               model.ClassAddressDead,
		"550 5.1.0 Address rejected: User unknown":                                       model.ClassAddressDead,
		"556 example.org does not take mail":                                             model.ClassAddressDead,
		"550 5.7.1 no such user for you":                                                 model.ClassPermanent,
		"550 Requested action not taken: mailbox unavailable":                            model.ClassPermanent,
		"550 Sender verify failed: no such user":                                         model.ClassPermanent,
		"550 invalid recipient: relay not permitted":                                     model.ClassPermanent,
		"553 sorry, that domain isn't in my list of allowed rcpthosts":                   model.ClassPermanent,
		"554 Blocked by policy: unknown user or listed host":                             model.ClassPermanent,
		"521 no mail from here":                                                          model.ClassPermanent,
		"552 mailbox full":                                                               model.ClassTransient,
		"450 User unknown, perhaps later":                                                model.ClassTransient,
		"530 authentication required":                                                    model.ClassAuth,
	} {
		p.mu.Lock()
		p.bare = answer
		p.mu.Unlock()
		_, err := s.Send(t.Context(), deliverytest.Message(model.ChannelEmail, delivery.Target{Address: "ada@example.org"}))
		if e := delivery.Classify(err); e == nil || e.Class != want || !strings.Contains(e.Answer, answer[4:]) {
			t.Errorf("%q: %+v, want %s with the answer", answer, e, want)
		}
	}
	if n := len(p.all()); n != 0 {
		t.Errorf("%d mails were taken", n)
	}
}

func TestNothingIsSentInTheClearUnasked(t *testing.T) {
	t.Parallel()
	p, account := start(t, "NONE")
	account.Config = json.RawMessage(strings.Replace(string(account.Config), `"security":"NONE"`, `"security":"STARTTLS"`, 1))
	_, err := open(t, account).Send(t.Context(), deliverytest.Message(model.ChannelEmail, delivery.Target{Address: "ada@example.org"}))
	if e := delivery.Classify(err); e == nil || e.Class != model.ClassConfig || len(p.all()) != 0 {
		t.Errorf("a server without STARTTLS: %v, and it got %d mails", err, len(p.all()))
	}
}

func TestForm(t *testing.T) {
	t.Parallel()
	p, account := start(t, "STARTTLS")
	m := deliverytest.Message(model.ChannelEmail, delivery.Target{Address: "ada@example.org"})
	m.HTML = "<p>Grüße</p>"
	m.Unsubscribe = "https://example.com/u/" + strings.Repeat("a", 200)
	m.Headers = map[string]string{"X-Order": "Bestellung ü 17", "List-Id": "orders.example.com"}
	m.FiredAt = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if _, err := open(t, account).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got := p.all()[0]
	for name, want := range map[string]string{
		"From": `"Carillon, Ltd." <news@example.com>`, "Reply-To": "<help@example.com>", "To": "=?utf-8?q?Ada_=C5=81ovelace?= <ada@example.org>",
		"Date": "Fri, 02 Jan 2026 03:04:05 +0000", "List-Unsubscribe": "<" + m.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
		"List-Id": "orders.example.com", "Auto-Submitted": "auto-generated", "Message-Id": "<dlv_0123456789abcdef@example.com>",
	} {
		if v := got.mail.Header.Get(name); v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	m.Headers = map[string]string{"Reply-To": "orders@example.com"}
	if _, err := open(t, account).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if v := p.all()[1].mail.Header["Reply-To"]; !slices.Equal(v, []string{"<orders@example.com>"}) {
		t.Errorf("of a message that says whom to reply to, Reply-To is %q", v)
	}
	bodies, _ := parts(t, got.mail)
	if !strings.Contains(bodies["text/plain"], "Second: 100 %") || bodies["text/html"] != "<p>Grüße</p>" {
		t.Errorf("the bodies are %q", bodies)
	}
}

// TestHeadersCannotBeInjected sends line breaks wherever a person may have typed
// them, and wants one mail with the headers of any other.
func TestHeadersCannotBeInjected(t *testing.T) {
	t.Parallel()
	p, account := start(t, "STARTTLS")
	plain := deliverytest.Message(model.ChannelEmail, delivery.Target{Address: "ada@example.org"})
	s := open(t, account)
	if _, err := s.Send(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	for _, evil := range []string{"\r\nBcc: eve@example.org", "\nBcc: eve@example.org", "\rBcc: eve@example.org", "\r\n\r\n<b>body</b>", "\r\n.\r\nMAIL FROM:<eve@example.org>", "\x00", "\u2028Bcc: eve@example.org"} {
		m := plain
		m.Title, m.Name, m.Text = "title"+evil, `Ada" <eve@example.org>`+evil, "text"+evil
		if _, err := s.Send(t.Context(), m); err != nil {
			t.Errorf("%q: %v", evil, err)
		}
	}
	want := names(p.all()[0].mail.Header)
	for _, got := range p.all() {
		to, err := got.mail.Header.AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != "ada@example.org" || got.to != "ada@example.org" {
			t.Errorf("it went to %v, %v (%s)", to, err, got.to)
		}
		if !slices.Equal(names(got.mail.Header), want) {
			t.Errorf("the headers are %v, want %v", names(got.mail.Header), want)
		}
	}
	for name, value := range map[string]string{"Bcc": "eve@example.org", "To": "eve@example.org", "Subject": "x", "X-A": "a\r\nBcc: eve@example.org", "X-A: b\r\nBcc": "c", "Content-Type": "text/html", "Reply-To": "ada@example.org, eve@example.org"} {
		m := plain
		m.Headers = map[string]string{name: value}
		if _, err := s.Send(t.Context(), m); delivery.Classify(err) == nil || delivery.Classify(err).Class != model.ClassPermanent {
			t.Errorf("the header %q was taken: %v", name, err)
		}
	}
	for _, to := range []string{"eve@example.org, ada@example.org", "Eve <eve@example.org>", "ada@example.org\r\nRCPT TO:<eve@example.org>", "ada", "", "ada@example.org>"} {
		m := plain
		m.To.Address = to
		if _, err := s.Send(t.Context(), m); delivery.Classify(err) == nil {
			t.Errorf("the address %q was taken", to)
		}
	}
	m := plain
	m.Unsubscribe = "https://example.com/>\r\nBcc: eve@example.org"
	if _, err := s.Send(t.Context(), m); err == nil {
		t.Error("an address for unsubscribing with a line break was taken")
	}
}

func names(h mail.Header) []string {
	var out []string
	for name := range h {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestQuotedLocalPart(t *testing.T) {
	t.Parallel()
	p, account := start(t, "STARTTLS")
	m := deliverytest.Message(model.ChannelEmail, delivery.Target{Address: `"ada@example.org> SIZE=1"@example.com`})
	_, err := open(t, account).Send(t.Context(), m)
	if got := p.all(); err == nil && (len(got) != 1 || got[0].to == "ada@example.org") {
		t.Errorf("the server took it as %+v", got)
	}
}

func TestSettingsNameTheField(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ config, secrets, want string }{
		{`{"host":"mail.example.com","from":"a@example.com"}`, `{}`, ""},
		{`{"host":"mail.example.com","from":"A <a@example.com>"}`, `{}`, "config.from must be one e-mail address"},
		{`{"host":"mail.example.com","from":"a@example.com","replyTo":"x"}`, `{}`, "config.replyTo must be one e-mail address"},
		{`{"host":"mail.example.com","from":"a@example.com","username":"u"}`, `{}`, "secrets.password is required"},
		{`{"host":"mail.example.com","from":"a@example.com"}`, `{"password":"p"}`, "config.username is required"},
		{`{"host":"mail.example.com","from":"a@example.com","username":"u","security":"NONE"}`, `{"password":"p"}`, "config.security must be STARTTLS or TLS"},
		{`{"host":"127.0.0.1","from":"a@example.com"}`, `{}`, "config.host must name a public host"},
		{`{"host":"0x7f.1","from":"a@example.com"}`, `{}`, "config.host must name a public host"},
		{`{"host":"localhost","from":"a@example.com"}`, `{}`, "config.host must name a public host"},
		{`{"host":"10.0.0.1","from":"a@example.com"}`, `{}`, "config.host must name a public host"},
	} {
		out := deliverytest.Outside(t)
		out.Guard.Allow = nil
		_, err := smtp.Kind.New(delivery.Account{Config: []byte(tt.config), Secrets: []byte(tt.secrets)}, out)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s %s: %v, want %q", tt.config, tt.secrets, err, tt.want)
		}
	}
}

// TestProbeIsNoPortScanner probes what is no mail server, and wants to hear nothing
// of what it says.
func TestProbeIsNoPortScanner(t *testing.T) {
	t.Parallel()
	for _, banner := range []string{"SSH-2.0-OpenSSH_9.9\r\n", "-ERR unknown command\r\n", "220 mail.test secret-banner\r\n502 secret\r\n", "554 secret-banner\r\n", ""} {
		l := deliverytest.Listen(t)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(banner))
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			<-ctx.Done()
			_ = conn.Close()
		}()
		port := l.Addr().String()[strings.LastIndexByte(l.Addr().String(), ':')+1:]
		s := open(t, delivery.Account{Config: json.RawMessage(`{"host":"127.0.0.1","port":` + port + `,"from":"a@example.com"}`)})
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		err := s.(delivery.Prober).Probe(ctx)
		cancel()
		e := delivery.Classify(err)
		if e == nil {
			t.Errorf("%q passes for a mail server", banner)
		} else if said := e.Message + e.Answer; strings.Contains(said, "SSH") || strings.Contains(said, "secret") || strings.Contains(said, "unknown") || strings.Contains(said, "127.0.0.1") {
			t.Errorf("after %q the probe says %q", banner, said)
		}
	}
}
