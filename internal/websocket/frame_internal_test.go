package websocket

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// scripted is a connection that has been sent some bytes.
type scripted struct{ io.Reader }

func (scripted) Write(p []byte) (int, error)      { return len(p), nil }
func (scripted) Close() error                     { return nil }
func (scripted) LocalAddr() net.Addr              { return nil }
func (scripted) RemoteAddr() net.Addr             { return nil }
func (scripted) SetDeadline(time.Time) error      { return nil }
func (scripted) SetReadDeadline(time.Time) error  { return nil }
func (scripted) SetWriteDeadline(time.Time) error { return nil }

// FuzzFrames holds the reader of frames to its promises: it never panics, it
// takes no more memory than it may, and a message that it accepts is UTF-8.
func FuzzFrames(f *testing.F) {
	for _, frame := range []ws.Frame{
		ws.NewTextFrame([]byte("hello")), ws.NewFrame(ws.OpText, false, []byte("hel")), ws.NewFrame(ws.OpContinuation, true, []byte("lo")),
		ws.NewPingFrame([]byte("x")), ws.NewCloseFrame(nil), ws.NewBinaryFrame([]byte("x")), ws.NewTextFrame(make([]byte, 500)),
	} {
		f.Add(ws.MustCompileFrame(ws.MaskFrame(frame)))
	}
	f.Add([]byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1000
		in := NewInput(scripted{bytes.NewReader(data)}, nil)
		var message []byte
		for {
			out, control, whole, err := in.Frame(message, limit)
			if err != nil {
				return
			}
			if len(out) > limit+ws.MaxControlFramePayloadSize {
				t.Fatalf("a message of %d bytes", len(out))
			}
			switch {
			case control != 0:
				message = out[:len(message)]
			case whole:
				if !utf8.Valid(out) {
					t.Fatalf("%q is not UTF-8", out)
				}
				message = message[:0]
			default:
				message = out
			}
		}
	})
}
