package dial

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// MaxURL is how many bytes a URL may have.
const MaxURL = 2048

// CheckURL reads a URL that somebody wants called, and says at once what dialling
// it would refuse. It asks no name server: what a name stands for is judged when it
// is dialled. The error completes a sentence that begins with the field's name.
func (g Guard) CheckURL(raw string, schemes ...string) (*url.URL, error) {
	want := "must be an absolute " + strings.Join(schemes, " or ") + " URL"
	if raw == "" || len(raw) > MaxURL {
		return nil, fmt.Errorf("%s of at most %d bytes", want, MaxURL)
	}
	if strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f }) {
		return nil, errors.New("must be in ASCII without spaces, control characters and backslashes; encode other characters by percent, and names by xn--")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Host == "" {
		return nil, errors.New(want)
	}
	if !slices.Contains(schemes, u.Scheme) {
		return nil, fmt.Errorf("%s, has the scheme %q", want, u.Scheme)
	}
	if u.User != nil {
		return nil, errors.New("must not hold a user name or password")
	}
	return u, g.CheckHost(u.Hostname())
}

// CheckHost is CheckURL for a bare host: a name, or an address without brackets.
// Addresses must be in the one plain spelling: four decimal numbers, or IPv6.
func (g Guard) CheckHost(host string) error {
	const want = "must name a public host"
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if strings.Contains(name, "%") {
		return errors.New(want + ", not an address with a zone")
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		if g.Check(addr) != nil {
			return fmt.Errorf("%s: %s is an address that this server does not call", want, addr)
		}
		return nil
	}
	labels := strings.Split(name, ".")
	if len(name) > 253 || slices.ContainsFunc(labels, func(l string) bool { return !validLabel(l) }) {
		return errors.New(want + ": a name of letters, digits, hyphens and dots, or an IP address")
	}
	if number(labels[len(labels)-1]) {
		return errors.New(want + ": an IPv4 address is written as four decimal numbers")
	}
	if labels[len(labels)-1] == "localhost" && g.Check(netip.AddrFrom4([4]byte{127, 0, 0, 1})) != nil {
		return errors.New(want + ": localhost is this server")
	}
	return nil
}

func validLabel(l string) bool {
	return l != "" && len(l) <= 63 && !strings.ContainsFunc(l, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// number reports whether a name that ends in this label is an IPv4 address to a
// browser or to libc: decimal, octal, or hexadecimal.
func number(label string) bool {
	digits := "0123456789"
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = rest, digits+"abcdef"
	}
	return strings.Trim(label, digits) == ""
}

// CheckPushEndpoint is CheckURL for the push endpoint that somebody's browser
// claims to have: https on its own port. Another port is for hosts that an
// operator allowed by address.
func (g Guard) CheckPushEndpoint(raw string) (*url.URL, error) {
	u, err := g.CheckURL(raw, "https")
	if err != nil {
		return nil, err
	}
	if port := u.Port(); port != "" && port != "443" && !g.allows(u.Hostname()) {
		return nil, errors.New("must have the port 443")
	}
	return u, nil
}

// allows reports whether the host is an address that an operator allowed.
func (g Guard) allows(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}
