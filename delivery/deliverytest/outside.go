package deliverytest

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"carillon/delivery"
	"carillon/internal/dial"
)

// Outside reaches loopback through the real dialer, and trusts the certificates of
// [TLS].
func Outside(t testing.TB) delivery.Outside {
	t.Helper()
	d := dial.New(dial.Config{RootCAs: Roots(), Guard: dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	t.Cleanup(d.HTTP().CloseIdleConnections)
	return delivery.Outside{
		Dial: d.DialContext, HTTP: d.HTTP(), Guard: d.Guard, TLS: d.TLS(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

// authority is a test server that is only asked for its certificate, which is good
// for 127.0.0.1 and example.com.
var authority = sync.OnceValue(func() *httptest.Server {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	s.Close()
	return s
})

// TLS is the configuration of a peer.
func TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: authority().TLS.Certificates}
}

// Roots are what trusts the peers of [TLS].
func Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(authority().Certificate())
	return pool
}

// Listen listens on a free port of 127.0.0.1 until the test ends.
func Listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // of a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
