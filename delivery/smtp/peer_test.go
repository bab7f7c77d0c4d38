package smtp_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"carillon/delivery"
	"carillon/delivery/deliverytest"
)

const password = "correct horse battery"

// peer is a mail server.
type peer struct {
	mu    sync.Mutex
	fault deliverytest.Fault
	bare  string // how it refuses a recipient: a code and text; empty: it does not
	mails []received
	done  chan struct{} // closed when the test ends
	plain bool          // without authentication
}

type received struct {
	from, to string
	mail     *mail.Message
	raw      string
}

func (p *peer) has(f deliverytest.Fault) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault == f
}

func (p *peer) set(f deliverytest.Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

func (p *peer) all() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mails[:len(p.mails):len(p.mails)]
}

// start runs a server with the security that the settings name, and returns the
// account that reaches it.
func start(t *testing.T, security string) (*peer, delivery.Account) {
	t.Helper()
	p := &peer{done: make(chan struct{}), plain: security == "NONE"}
	l := deliverytest.Listen(t)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) { return &session{peer: p, conn: c}, nil }))
	s.Domain, s.ErrorLog = "mail.test", quiet{}
	s.EnableSMTPUTF8 = true
	switch security {
	case "TLS":
		l = tls.NewListener(l, deliverytest.TLS())
	case "STARTTLS":
		s.TLSConfig = deliverytest.TLS()
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { close(p.done); _ = s.Close() })
	config := fmt.Sprintf(`{"host":"127.0.0.1","port":%s,"security":%q,"from":"news@example.com","fromName":"Carillon, Ltd.","replyTo":"help@example.com"`, port, security)
	if p.plain {
		return p, delivery.Account{Config: json.RawMessage(config + `}`)}
	}
	return p, delivery.Account{Config: json.RawMessage(config + `,"username":"carillon"}`), Secrets: json.RawMessage(`{"password":"` + password + `"}`)}
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

type session struct {
	*peer
	conn     *gosmtp.Conn
	from, to string
}

func (s *session) AuthMechanisms() []string {
	if s.plain {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if user != "carillon" || pass != password || s.has(deliverytest.FaultUnauthorized) {
			return gosmtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if s.has(deliverytest.FaultGone) {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if code, text, refused := strings.Cut(s.bare, " "); refused {
		n, _ := strconv.Atoi(code)
		return &gosmtp.SMTPError{Code: n, EnhancedCode: gosmtp.NoEnhancedCode, Message: text}
	}
	s.to = to
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := s.misbehave(); err != nil {
		return err
	}
	m, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, received{s.from, s.to, m, string(raw)})
	return nil
}

func (s *session) misbehave() error {
	s.mu.Lock()
	fault := s.fault
	s.mu.Unlock()
	say := func(text string) error {
		_, _ = io.WriteString(s.conn.Conn(), text)
		_ = s.conn.Conn().Close()
		return io.ErrClosedPipe
	}
	switch fault {
	case deliverytest.FaultError:
		return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "try later"}
	case deliverytest.FaultRateLimited:
		return &gosmtp.SMTPError{Code: 450, EnhancedCode: gosmtp.EnhancedCode{4, 7, 1}, Message: "too many"}
	case deliverytest.FaultRefused:
		return &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1}, Message: "looks like spam"}
	case deliverytest.FaultHang:
		<-s.done
	case deliverytest.FaultReset:
		return say("")
	case deliverytest.FaultCut:
		return say("25")
	case deliverytest.FaultMalformed:
		return say("HTTP/1.1 200 OK\r\n")
	case deliverytest.FaultHuge:
		for {
			if _, err := io.WriteString(s.conn.Conn(), strings.Repeat("250-and more\r\n", 1000)); err != nil {
				return err
			}
		}
	default:
	}
	return nil
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

// parts returns the bodies of a mail by their type, decoded, and what a person sees
// of the mail.
func parts(t *testing.T, m *mail.Message) (map[string]string, string) {
	t.Helper()
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		t.Error(err)
	}
	out := map[string]string{}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind != "multipart/alternative" {
		b, _ := io.ReadAll(quotedprintable.NewReader(m.Body))
		out[kind] = string(b)
	} else {
		for r := multipart.NewReader(m.Body, params["boundary"]); ; {
			part, err := r.NextPart()
			if err != nil {
				break
			}
			kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
			b, _ := io.ReadAll(part) // it decodes quoted-printable
			out[kind] = string(b)
		}
	}
	return out, strings.ReplaceAll(subject+"\n"+out["text/plain"]+"\n"+out["text/html"], "\r\n", "\n")
}
