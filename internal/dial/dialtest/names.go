package dialtest

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"testing"
)

// Names is a resolver for which every name stands for the IPv4 address that
// answer gives, and for none of IPv6. answer is called by one goroutine.
func Names(t testing.TB, answer func() [4]byte) *net.Resolver {
	t.Helper()
	pc, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	go func() {
		for question := make([]byte, 512); ; {
			n, from, err := pc.ReadFrom(question)
			if err != nil {
				return
			}
			q := question[12:n]
			end := bytes.IndexByte(q, 0) + 5 // name, type, class
			reply := append([]byte{}, question[:12+end]...)
			copy(reply[2:], []byte{0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
			if binary.BigEndian.Uint16(q[end-4:]) == 1 { // an IPv4 address is asked for
				ip := answer()
				reply[7] = 1
				reply = append(append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4), ip[:]...)
			}
			_, _ = pc.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
}

// Home stands for this machine.
func Home() [4]byte { return [4]byte{127, 0, 0, 1} }
