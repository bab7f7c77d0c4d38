package dial_test

import (
	"net/netip"
	"strings"
	"testing"

	"carillon/internal/dial"
)

// spellings are ways of writing an address of this machine, or of its network.
var spellings = []string{
	"127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "2130706433.", "0x7f000001", "0X7F000001", "0x7f.0.0.1", "0x7f.1",
	"0177.0.0.1", "0177.1", "017700000001", "127.0.0.0x1", "127.0.0.01", "127.000.000.001", "0", "0.0.0.0", "00000000", "1.0x",
	"localhost", "LOCALHOST", "localhost.", "a.localhost", "a.localhost.", "localhost%00", "localhost%2e",
	"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::127.0.0.1]",
	"[2002:7f00:1::]", "[::1%25lo]", "[fe80::1%25eth0]", "[::ffff:0:127.0.0.1]", "[fd00:ec2::254]",
	"169.254.169.254", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0xa9fea9fe", "2852039166", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
	"１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "ⓛocalhost", "%31%32%37.0.0.1", "127.0.0.1%09", "127.0.0.1\t", " 127.0.0.1", "127.0.0.1\n",
	"example.com@127.0.0.1", "user:pass@127.0.0.1", "example.com:80@127.0.0.1", "127.0.0.1\\@example.com", "example.com\\@127.0.0.1",
	"[127.0.0.1]", "[::1", "::1", "127.0.0.1..", ".127.0.0.1", "a..b", "example.com:x", "exa mple.com",
}

func TestSpellingsAreRefusedAtSave(t *testing.T) {
	t.Parallel()
	for _, host := range spellings {
		for _, form := range []string{"http://%/hook", "http://%:8080/hook", "http:/%/hook", "http:\\\\%/hook", "//%/hook", "%/hook"} {
			raw := strings.Replace(form, "%", host, 1)
			if u, err := (dial.Guard{}).CheckURL(raw, "http", "https"); err == nil {
				t.Errorf("CheckURL(%q) took it, with the host %q", raw, u.Host)
			} else if !strings.HasPrefix(err.Error(), "must ") {
				t.Errorf("CheckURL(%q): %q does not complete a sentence", raw, err)
			}
		}
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, url string
		want      string // part of the error; "" for none
	}{
		{"Plain", "https://hooks.example.com/a?b=c", ""},
		{"TrailingDot", "https://hooks.example.com./a", ""},
		{"Port", "https://hooks.example.com:8443/", ""},
		{"Address", "https://1.1.1.1/", ""},
		{"Address6", "https://[2606:4700:4700::1111]/", ""},
		{"Digits", "https://3com.123.example/", ""},
		{"Punycode", "https://xn--bcher-kva.example/", ""},
		{"UpperCase", "https://HOOKS.example.COM/", ""},
		{"NoHost", "https:///a", "absolute https URL"},
		{"Empty", "", "absolute https URL"},
		{"Scheme", "ftp://example.com/", `scheme "ftp"`},
		{"OtherScheme", "http://example.com/", `scheme "http"`},
		{"Script", "javascript:alert(1)", "absolute https URL"},
		{"File", "file:///etc/passwd", "absolute https URL"},
		{"Credentials", "https://a:b@example.com/", "user name"},
		{"Long", "https://example.com/" + strings.Repeat("a", 2048), "2048 bytes"},
		{"LongLabel", "https://" + strings.Repeat("a", 64) + ".com/", "letters"},
		{"NotASCII", "https://bücher.example/", "xn--"},
		{"Private", "https://10.0.0.1/", "does not call"},
		{"Octal", "https://0177.0.0.1/", "four decimal numbers"},
		{"Localhost", "https://localhost/", "this server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := dial.Guard{}.CheckURL(tt.url, "https")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("CheckURL(%q) = %v, want %q", tt.url, err, tt.want)
			}
		})
	}
	loopback := dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, raw := range []string{"http://127.0.0.1:9/", "http://localhost:9/", "http://[::ffff:127.0.0.1]:9/"} {
		if _, err := loopback.CheckURL(raw, "http"); err != nil {
			t.Errorf("CheckURL(%q) = %v, want it taken where loopback is allowed", raw, err)
		}
	}
}

// FuzzCheckURL holds CheckURL to never panicking, and to taking no URL whose host
// it would refuse when read back.
func FuzzCheckURL(f *testing.F) {
	for _, host := range spellings {
		f.Add("https://" + host + "/")
	}
	f.Add("https://example.com/?a=b#c")
	f.Fuzz(func(t *testing.T, raw string) {
		var g dial.Guard
		u, err := g.CheckURL(raw, "https")
		if err != nil {
			return
		}
		if addr, err := netip.ParseAddr(strings.TrimSuffix(u.Hostname(), ".")); err == nil && g.Check(addr) != nil {
			t.Errorf("CheckURL(%q) took the address %s", raw, addr)
		}
		if _, err := g.CheckURL(u.String(), "https"); err != nil && len(u.String()) <= dial.MaxURL {
			t.Errorf("CheckURL(%q) took it, but not what it read: %q: %v", raw, u, err)
		}
	})
}
