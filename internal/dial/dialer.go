package dial

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"
)

const (
	// Timeout is how long one exchange may take in all, from the name's look-up
	// to the last byte of the answer.
	Timeout = 15 * time.Second
	// connectWithin is how much of it the connection may take.
	connectWithin = 10 * time.Second
)

// Config says how to get out. Its zero value reaches the public network.
type Config struct {
	Guard    Guard
	Resolver *net.Resolver  // nil: the machine's
	RootCAs  *x509.CertPool // nil: the machine's
	Timeout  time.Duration  // of one exchange; 0: [Timeout]
}

// Dialer makes connections to addresses that its guard allows. It is safe for
// concurrent use.
type Dialer struct {
	Guard
	net    net.Dialer
	roots  *x509.CertPool
	client *http.Client
}

// New makes a Dialer.
func New(cfg Config) *Dialer {
	d := &Dialer{Guard: cfg.Guard, roots: cfg.RootCAs}
	d.net = net.Dialer{Timeout: connectWithin, Resolver: cfg.Resolver, ControlContext: d.control}
	d.client = &http.Client{
		Timeout: cmp.Or(cfg.Timeout, Timeout),
		Transport: bounded{&http.Transport{
			Proxy:                  nil, // those of the environment lead past the guard
			DialContext:            d.DialContext,
			TLSClientConfig:        d.TLS(),
			TLSHandshakeTimeout:    connectWithin,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // nothing to unpack, so nothing that swells
			MaxResponseHeaderBytes: maxAnswer,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        60 * time.Second,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return d
}

// control is asked with the address that is about to be dialled, after names were
// looked up.
func (d *Dialer) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: %s is not dialled", ErrBlocked, network)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBlocked, err)
	}
	return d.Check(at.Addr())
}

// DialContext connects to host:port over TCP. The error wraps [ErrBlocked] when
// every address of the host is refused.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d.net.DialContext(ctx, network, address)
}

// TLS returns a configuration that trusts what this dialer trusts.
func (d *Dialer) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.roots}
}

// HTTP returns the client that dials here. An answer's body is as it came, and ends
// in an error after the first 64 KB; [Do] reads it whole.
func (d *Dialer) HTTP() *http.Client { return d.client }

// Describe puts an error of connecting or of an exchange into words that tell
// whoever may configure a provider what to do, and a port scanner nothing: no
// address, and nothing of what the other side said.
func Describe(err error) string {
	var (
		name    *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		timeout net.Error
	)
	switch {
	case errors.Is(err, ErrBlocked):
		return "the address is not one that this server calls"
	case errors.Is(err, ErrTooLarge), errors.Is(err, ErrEncoded):
		return "the answer is too large or encoded"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.As(err, &name):
		return "the host name was not found"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.As(err, &cert):
		return "the TLS certificate is not valid for this host"
	case errors.As(err, &record), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return "TLS failed"
	default:
		return "the connection failed"
	}
}
