package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"carillon/graph/operation"
	"carillon/internal/websocket"
)

// readFrame reads one frame of the server, as a client does.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

func TestEventDataIsOneLine(t *testing.T) {
	t.Parallel()
	// As a scalar that passes JSON through writes it.
	got := string(appendLine([]byte("data: "), []byte("{\"data\":{\r\n\t\"a\": \"b\\nc\"\n}}")))
	if want := `data: {"data":{"a":"b\nc"}}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFramesHaveTheLengthThatTheySay(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 80, 90, 125, 126, 65_400, 65_535, 65_536, 300_000} {
		var buffer []byte
		answer := []byte(`"` + strings.Repeat("x", n) + `"`)
		frame := nextFrame(&buffer, `i"d`, answer)
		f, err := readFrame(bytes.NewReader(frame))
		if err != nil || !f.Header.Fin || f.Header.Masked || f.Header.OpCode != ws.OpText {
			t.Fatalf("%d: %+v, %v", n, f.Header, err)
		}
		var m struct{ Type, ID, Payload string }
		if err := json.Unmarshal(f.Payload, &m); err != nil || m.Type != "next" || m.ID != `i"d` || len(m.Payload) != n {
			t.Errorf("%d: %.80s, %v", n, f.Payload, err)
		}
		if got := len(websocket.AppendFrame(nil, ws.OpText, f.Payload)); got != len(frame) {
			t.Errorf("%d: the frame has %d bytes, want %d", n, len(frame), got)
		}
	}
}

func TestAnswerFramesAreTwo(t *testing.T) {
	t.Parallel()
	var buffer []byte
	frames := answerFrames(&buffer, "1", &operation.Response{Data: []byte(strings.Repeat(" ", 70_000) + "null")})
	r := bytes.NewReader(frames)
	for _, want := range []string{"next", "complete"} {
		f, err := readFrame(r)
		if err != nil || !strings.HasPrefix(string(f.Payload), `{"type":"`+want+`","id":"1"`) {
			t.Errorf("%s: %.60s, %v", want, f.Payload, err)
		}
	}
	if r.Len() > 0 {
		t.Errorf("%d bytes are left", r.Len())
	}
}

func TestCloseReasonIsCutBetweenRunes(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		s := &socket{code: closeBadMessage, reason: strings.Repeat("x", n) + strings.Repeat("€", 100)}
		f, err := readFrame(bytes.NewReader(s.closeFrame()))
		if err != nil || len(f.Payload) > ws.MaxControlFramePayloadSize || len(f.Payload) < 118 || !utf8.Valid(f.Payload[2:]) {
			t.Errorf("%d bytes, %v: %q", len(f.Payload), err, f.Payload)
		}
	}
}

// FuzzDecodeMessage holds the decoder to its promises: it never panics, what
// it refuses is an invalid message, and what it accepts has what its type
// needs.
func FuzzDecodeMessage(f *testing.F) {
	for _, seed := range []string{
		`{"type":"connection_init","payload":{"authorization":"x"}}`,
		`{"type":"subscribe","id":"1","payload":{"query":"{a}"}}`,
		`{"id":"1","type":"complete"}`,
		`{"type":"ping","payload":null}`,
		`{"type":"\u0070ing","payload":{"key":1}}`,
		`[]`, `{"type":1}`, `{"type":"next","id":"1"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if !utf8.Valid(data) {
			return
		}
		m, err := decodeMessage(data)
		switch {
		case err != nil && !errors.Is(err, errBadMessage):
			t.Errorf("%q: %v", data, err)
		case err == nil && m.kind == typeSubscribe && (m.id == "" || m.payload == nil):
			t.Errorf("%q is a subscribe without its members: %+v", data, m)
		case err == nil && m.payload != nil:
			renews(m.payload)
			if !json.Valid(m.payload) {
				t.Errorf("%q has the payload %q", data, m.payload)
			}
		}
	})
}
