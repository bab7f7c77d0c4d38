package socketio

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		message string
		want    packet // engine 0: refused
	}{
		{"40", packet{engine: '4', kind: '0', namespace: "/"}},
		{`40{"token":"x"}`, packet{engine: '4', kind: '0', namespace: "/", data: json.RawMessage(`{"token":"x"}`)}},
		{"40/notify,", packet{engine: '4', kind: '0', namespace: "/notify"}},
		{"40/notify", packet{engine: '4', kind: '0', namespace: "/notify"}},
		{`40/notify,{"a":[1,"},"]}`, packet{engine: '4', kind: '0', namespace: "/notify", data: json.RawMessage(`{"a":[1,"},"]}`)}},
		{"40/notify?token=x,", packet{engine: '4', kind: '0', namespace: "/notify"}},
		{"41", packet{engine: '4', kind: '1', namespace: "/"}},
		{"41/a/b,", packet{engine: '4', kind: '1', namespace: "/a/b"}},
		{`42["hello",{}]`, packet{engine: '4', kind: '2', namespace: "/"}},
		{`42/a,7["hello"]`, packet{engine: '4', kind: '2', namespace: "/a"}},
		{`437[]`, packet{engine: '4', kind: '3', namespace: "/"}},
		{"1", packet{engine: '1'}},
		{"2probe", packet{engine: '2'}},
		{"3", packet{engine: '3'}},
		{"6", packet{engine: '6'}},
		{"", packet{}},
		{"0{}", packet{}},
		{"5", packet{}},
		{"x", packet{}},
		{"4", packet{}},
		{"4x", packet{}},
		{`44{"message":"no"}`, packet{}},
		{`451-["x",{"_placeholder":true,"num":0}]`, packet{}},
		{`461-["x"]`, packet{}},
		{"40[]", packet{}},
		{"40null", packet{}},
		{"40{", packet{}},
		{`40{}{}`, packet{}},
		{"40/" + strings.Repeat("x", maxNamespace), packet{}},
	} {
		p, err := decode([]byte(tt.message))
		if tt.want.engine == 0 {
			if !errors.Is(err, errPacket) {
				t.Errorf("%.60q = %+v, %v; want it refused", tt.message, p, err)
			}
			continue
		}
		if err != nil || p.engine != tt.want.engine || p.kind != tt.want.kind || p.namespace != tt.want.namespace || string(p.data) != string(tt.want.data) {
			t.Errorf("%q = %+v, %v; want %+v", tt.message, p, err, tt.want)
		}
	}
}

func TestRefusalIsJSONWhateverItSays(t *testing.T) {
	t.Parallel()
	why := "a \"b\"\n</script>"
	packet := refusalPacket("/x", why)
	var got struct{ Message string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(packet), "44/x,")), &got); err != nil || got.Message != why {
		t.Errorf("%s says %q (%v), want %q", packet, got.Message, err, why)
	}
}

// FuzzDecode holds the reader of packets to its promises: it never panics, it
// takes names of a bounded length, and what comes with a connect is an object.
// A packet that is answered can be read by the reader again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"40", `40{"token":"x"}`, "40/notify,", `40/notify?a=b,{"a":1}`, "41", `42["x"]`, "2probe", "3", "1", "451-[]", "40/,", "40/,,{}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if !utf8.Valid(message) {
			return // the frame's reader refuses it
		}
		p, err := decode(message)
		if err != nil {
			if !errors.Is(err, errPacket) {
				t.Fatalf("%q is refused with %v", message, err)
			}
			return
		}
		if p.engine != engineMessage {
			return
		}
		if len(p.namespace) > maxNamespace || !strings.HasPrefix(p.namespace, "/") || strings.ContainsAny(p.namespace, ",?") {
			t.Fatalf("%q has the namespace %q", message, p.namespace)
		}
		var object map[string]json.RawMessage
		if p.data != nil && (json.Unmarshal(p.data, &object) != nil || object == nil) {
			t.Fatalf("%q brings %q, which is no object", message, p.data)
		}
		again, err := decode(appendPacket(nil, p.kind, p.namespace, p.data))
		if err != nil || again.namespace != p.namespace || string(again.data) != string(p.data) {
			t.Fatalf("%q is %+v, and written again %+v (%v)", message, p, again, err)
		}
	})
}
