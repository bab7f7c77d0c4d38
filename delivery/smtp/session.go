package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"carillon/delivery"
	"carillon/internal/dial"
	"carillon/model"
)

// session connects, greets, encrypts and authenticates, and has the work done. The
// connection does not outlive ctx. Errors are *[delivery.Error].
func (s *sender) session(ctx context.Context, work func(*gomail.Client, *smtp.Client) error) error {
	conn, err := s.connect(ctx)
	if err != nil {
		return delivery.Unreached(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	c, err := gomail.NewClient(s.Host, s.options(ctx, conn)...)
	if err != nil {
		return &delivery.Error{Class: model.ClassConfig, Message: "these settings do not make a mail client", Err: err}
	}
	server, err := c.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return judgeGreeting(err)
	}
	if err := work(c, server); err != nil {
		return err
	}
	_ = c.CloseWithSMTPClient(server) // it has the message; how it says goodbye does not matter
	return nil
}

func (s *sender) connect(ctx context.Context) (net.Conn, error) {
	conn, err := s.out.Dial(ctx, "tcp", net.JoinHostPort(s.Host, strconv.Itoa(s.Port)))
	if err != nil {
		return nil, err
	}
	conn = &bounded{conn, maxHeard}
	if s.Security != implicitTLS {
		return conn, nil
	}
	secure := tls.Client(conn, s.tls())
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// maxHeard is how many bytes a server may say in one session. The client keeps all
// of a reply, however many lines it has.
const maxHeard = 256 << 10

type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, dial.ErrTooLarge
	}
	return n, err
}

func (s *sender) tls() *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.out.TLS != nil {
		cfg = s.out.TLS.Clone()
	}
	cfg.ServerName = s.Host
	return cfg
}

func (s *sender) options(ctx context.Context, conn net.Conn) []gomail.Option {
	patience := delivery.DefaultTimeout
	if deadline, ok := ctx.Deadline(); ok {
		patience = max(time.Until(deadline), time.Millisecond)
	}
	options := []gomail.Option{
		gomail.WithDialContextFunc(func(context.Context, string, string) (net.Conn, error) { return conn, nil }),
		gomail.WithPort(s.Port), gomail.WithHELO(s.Helo), gomail.WithTimeout(patience),
		gomail.WithTLSConfig(s.tls()), gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	switch s.Security {
	case noTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case implicitTLS:
		// The connection is encrypted already, and with this policy the client looks
		// whether it is.
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.Username), gomail.WithPassword(s.password))
	}
	return options
}

// judgeGreeting says what a failure before the message comes to. What the other
// side said is not told, for it may be no mail server at all.
func judgeGreeting(err error) *delivery.Error {
	var (
		reply    *textproto.Error
		protocol textproto.ProtocolError
	)
	switch {
	case errors.As(err, &reply) && isAuth(reply.Code):
		return &delivery.Error{Class: model.ClassAuth, Status: reply.Code, Message: "the mail server refused the user name or the password", Err: err}
	case errors.As(err, &reply):
		return &delivery.Error{Class: model.ClassTransient, Status: reply.Code, Message: "the mail server refused the connection with " + strconv.Itoa(reply.Code), Err: err}
	case errors.As(err, &protocol):
		return &delivery.Error{Class: model.ClassTransient, Message: "the server does not speak SMTP", Err: err}
	case isBroken(err):
		return delivery.Unreached(err)
	default:
		return &delivery.Error{Class: model.ClassConfig, Message: "the mail server does not offer what the settings ask for: STARTTLS, or a way to authenticate", Err: err}
	}
}

// isBroken tells failures of the connection from those that the client library
// makes up itself.
func isBroken(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		dial.Describe(err) != dial.Describe(errors.New("any other"))
}

// judge says what a failure to hand over the message comes to.
func judge(err error) *delivery.Error {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return &delivery.Error{Class: model.ClassUnknown, Message: "the message was not sent", Err: err}
	}
	e := &delivery.Error{Status: failed.ErrorCode(), Err: err}
	if e.Status == 0 {
		e.Class, e.Message = model.ClassTransient, "the connection to the mail server was lost before it had the message"
		if failed.Reason == gomail.ErrSMTPDataClose {
			e.Class, e.Message = model.ClassUnknown, "the mail server may have got the message: the connection was lost before it had answered"
		}
		return e
	}
	e.Answer, _, _ = strings.Cut(failed.Error(), ", affected ")
	e.Class = classOf(e.Status, failed.EnhancedStatusCode(), failed.Reason, e.Answer)
	e.Message = strings.TrimSpace("the mail server answered " + strconv.Itoa(e.Status) + " " + failed.EnhancedStatusCode())
	return e
}

func isAuth(code int) bool { return code == 530 || code == 534 || code == 535 || code == 538 }
