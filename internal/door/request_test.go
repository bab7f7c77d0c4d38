package door

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const host = "Host: a\r\n"
	for name, test := range map[string]struct {
		head string
		want string // what is seen of it; empty: it is left alone
	}{
		"plain":               {"POST /graphql HTTP/1.1\r\n" + host + "Authorization: Bearer x\r\nContent-Length: 3\r\nAccept: */*\r\n\r\n", "POST /graphql Bearer x */* 3"},
		"names in any case":   {"POST /g HTTP/1.1\r\nhOST: a\r\nauthorization:Bearer x \r\nCONTENT-length: 0\r\n\r\n", "POST /g Bearer x  0"},
		"without a body":      {"GET /a?b HTTP/1.1\r\n" + host + "\r\n", "GET /a?b   0"},
		"closes":              {"GET / HTTP/1.1\r\n" + host + "Connection: Close\r\n\r\n", "GET /   0 closes"},
		"keeps alive":         {"GET / HTTP/1.1\r\n" + host + "Connection: keep-alive\r\n\r\n", "GET /   0"},
		"an old client":       {"GET / HTTP/1.0\r\n\r\n", "GET /   0 closes"},
		"half a head":         {"POST /graphql HTTP/1.1\r\n" + host, ""},
		"no version":          {"GET /\r\n\r\n", ""},
		"another version":     {"GET / HTTP/2.0\r\n\r\n", ""},
		"a long request line": {"GET /a b HTTP/1.1\r\n\r\n", ""},
		"bare line ends":      {"GET / HTTP/1.1\nHost: a\nContent-Length: 5\n\nabcde\r\n\r\n", ""},
		"one bare line end":   {"GET / HTTP/1.1\r\nA: b\nContent-Length: 5\r\n\r\n", ""},
		"a folded line":       {"GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", ""},
		"a bare CR":           {"GET / HTTP/1.1\r\nA: b\rContent-Length: 5\r\n\r\n", ""},
		"a zero":              {"GET / HTTP/1.1\r\nA: b\x00\r\n\r\n", ""},
		"a target with CR":    {"GET /\r HTTP/1.1\r\n\r\n", ""},
		"no colon":            {"GET / HTTP/1.1\r\nA\r\n\r\n", ""},
		"space in a name":     {"GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", ""},
		"chunks":              {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		"chunks and length":   {"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		"two lengths":         {"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", ""},
		"a list of lengths":   {"POST / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", ""},
		"a length with sign":  {"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", ""},
		"an empty length":     {"POST / HTTP/1.1\r\nContent-Length:\r\n\r\n", ""},
		"an endless length":   {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", ""},
		"waits for a word":    {"POST / HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", ""},
		"becomes a socket":    {"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", ""},
		"two credentials":     {"GET / HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", ""},
		"no credential":       {"GET / HTTP/1.1\r\nAuthorization:\r\n\r\n", ""},
	} {
		r, size, ok := parse([]byte(test.head))
		got := ""
		if ok {
			got = seen(&r)
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if ok && size != len(test.head)+r.Length {
			t.Errorf("%s: %d bytes, want %d", name, size, len(test.head)+r.Length)
		}
	}
}

// seen is what is seen of a request.
func seen(r *Request) string {
	s := strings.Join([]string{string(r.Method), string(r.Target), string(r.Authorization), string(r.Accept), string('0' + rune(min(r.Length, 9)))}, " ")
	if r.Closes {
		s += " closes"
	}
	return s
}

// FuzzParse compares with net/http: what a door takes for a request of a length,
// net/http refuses or takes for the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("POST /graphql HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"))
	f.Add([]byte("GET /a?b HTTP/1.0\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nA: b\n c\r\nContent-Length: 1\n\n\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, size, ok := parse(b)
		if !ok {
			return
		}
		in := bufio.NewReaderSize(bytes.NewReader(b), len(b)+16)
		req, err := http.ReadRequest(in)
		if err != nil {
			return // it is refused, rush or no rush
		}
		if req.Method != string(r.Method) || req.RequestURI != string(r.Target) || req.ContentLength != int64(r.Length) || len(req.TransferEncoding) > 0 {
			t.Errorf("%q: seen as %q, read as %s %s of %d bytes", b, seen(&r), req.Method, req.RequestURI, req.ContentLength)
		}
		if head := len(b) - in.Buffered(); size != head+r.Length {
			t.Errorf("%q: %d bytes, and net/http reads %d", b, size, head+r.Length)
		}
		if got := req.Header["Authorization"]; len(got) > 1 || len(got) == 1 && got[0] != string(r.Authorization) {
			t.Errorf("%q: the credential is %q, seen as %q", b, got, r.Authorization)
		}
		if req.Close && !r.Closes {
			t.Errorf("%q: the connection closes, which was not seen", b)
		}
	})
}
