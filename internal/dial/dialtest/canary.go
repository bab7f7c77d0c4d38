// Package dialtest has what tests of outgoing calls need: canaries, which listen
// where nobody may call, and names that stand for what a test says.
package dialtest

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
)

// Listen listens on an address that a machine may not have: then the test is
// skipped, unless CI is set.
func Listen(t testing.TB, address string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		missing(t, address, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func missing(t testing.TB, address string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("cannot listen on %s: %v", address, err)
	}
	t.Skipf("cannot listen on %s: %v", address, err)
}

// Canary listens where nobody may call, and counts who does.
type Canary struct {
	net.Listener
	calls atomic.Int64
}

// NewCanary listens on an address until the test is over.
func NewCanary(t testing.TB, address string) *Canary {
	t.Helper()
	return watch(Listen(t, address))
}

// NewPair listens on 127.0.0.1 and on ::1, on the same port.
func NewPair(t testing.TB) (four, six *Canary) {
	t.Helper()
	var err error
	for range 20 {
		l := Listen(t, "127.0.0.1:0")
		var other net.Listener
		if other, err = new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("[::1]:%d", l.Addr().(*net.TCPAddr).Port)); err == nil {
			t.Cleanup(func() { _ = other.Close() })
			return watch(l), watch(other)
		}
	}
	missing(t, "::1", err)
	return nil, nil
}

func watch(l net.Listener) *Canary {
	c := &Canary{Listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.calls.Add(1)
			_ = conn.Close()
		}
	}()
	return c
}

// Port is where it listens.
func (c *Canary) Port() int { return c.Addr().(*net.TCPAddr).Port }

// Silent connects once itself, so that whoever came before has been counted, and
// wants to be the only caller. It is called once, at the end.
func (c *Canary) Silent(t testing.TB) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", c.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn) // ends when the canary has counted
	_ = conn.Close()
	if n := c.calls.Load(); n != 1 {
		t.Errorf("the canary at %s was called %d times", c.Addr(), n-1)
	}
}
