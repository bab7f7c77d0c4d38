package websocket

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// Headroom is the largest header of a frame that is not masked.
const Headroom = 10 // bytes

// AppendFrame appends a whole frame of the server.
func AppendFrame(to []byte, op ws.OpCode, payload []byte) []byte {
	return append(appendHeader(to, op, len(payload)), payload...)
}

func appendHeader(to []byte, op ws.OpCode, length int) []byte {
	const final = 0x80
	to = append(to, final|byte(op))
	switch {
	case length < 126:
		return append(to, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(to, 126), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(to, 127), uint64(length))
	}
}

// Seal makes a text frame of a message that was put together behind Headroom
// bytes. The frame is a part of message.
func Seal(message []byte) []byte {
	var header [Headroom]byte
	h := appendHeader(header[:0], ws.OpText, len(message)-Headroom)
	from := Headroom - len(h)
	copy(message[from:], h)
	return message[from:]
}

// Input reads a socket. While nothing comes it holds nothing but itself; the
// first bytes land in a few of its own, and a message in a buffer that is
// handed in.
type Input struct {
	conn  net.Conn
	early []byte // what net/http had read already
	from  uint8  // bounds of what is unread in small
	to    uint8
	small [110]byte

	fragmented bool // between the frames of one message
}

// NewInput reads a connection of which net/http has read early bytes already.
func NewInput(conn net.Conn, early []byte) Input { return Input{conn: conn, early: early} }

// Between reports whether a message has begun of which frames are missing.
func (in *Input) Between() bool { return in.fragmented }

// Wait blocks until there is something to read.
func (in *Input) Wait() error {
	if len(in.early) > 0 || in.from < in.to {
		return nil
	}
	n, err := in.conn.Read(in.small[:])
	in.from, in.to = 0, uint8(n)
	if n > 0 {
		return nil
	}
	return err
}

// Read is for whoever wants bytes and no frames.
func (in *Input) Read(p []byte) (int, error) {
	if len(in.early) > 0 {
		n := copy(p, in.early)
		if in.early = in.early[n:]; len(in.early) == 0 {
			in.early = nil
		}
		return n, nil
	}
	if in.from == in.to {
		if len(p) >= len(in.small) {
			return in.conn.Read(p)
		}
		if err := in.Wait(); err != nil {
			return 0, err
		}
	}
	n := copy(p, in.small[in.from:in.to])
	in.from += uint8(n)
	return n, nil
}

// step is the largest part of a message that memory is taken for before it is
// there: what a peer declares is not believed.
const step = 16 << 10 // bytes

// Frame reads one frame and appends its payload to message. It returns the
// code of a control frame, whose payload is what was appended, or whether the
// message is whole. Together with what is there, data may have max bytes.
func (in *Input) Frame(message []byte, max int) (out []byte, control ws.OpCode, whole bool, err error) {
	var scratch [12]byte
	header, err := ws.ReadHeaderBuffer(in, scratch[:])
	if err != nil {
		return message, 0, false, framing(err)
	}
	state := ws.StateServerSide
	if in.fragmented {
		state |= ws.StateFragmented
	}
	if err := ws.CheckHeader(header, state); err != nil {
		return message, 0, false, ErrFraming
	}
	if header.OpCode == ws.OpBinary {
		return message, 0, false, ErrBinary
	}
	if !header.OpCode.IsControl() && header.Length > int64(max-len(message)) {
		return message, 0, false, ErrHuge
	}
	from := len(message)
	for left := int(header.Length); left > 0; {
		part := min(left, step)
		at := len(message)
		message = append(message, make([]byte, part)...)
		if _, err := io.ReadFull(in, message[at:]); err != nil {
			return message, 0, false, err
		}
		left -= part
	}
	ws.Cipher(message[from:], header.Mask, 0)
	if header.OpCode.IsControl() {
		return message, header.OpCode, false, nil
	}
	in.fragmented = !header.Fin
	if header.Fin && !utf8.Valid(message) {
		return message, 0, false, ErrNotUTF8
	}
	return message, 0, header.Fin, nil
}

// framing is an error of reading a header: the connection's own, or what the
// peer did wrong.
func framing(err error) error {
	if errors.Is(err, ws.ErrHeaderLengthMSB) || errors.Is(err, ws.ErrHeaderLengthUnexpected) {
		return ErrFraming
	}
	return err
}
