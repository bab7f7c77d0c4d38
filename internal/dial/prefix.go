package dial

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrBlocked says that an address is not public and not allowed. Nothing was
// dialled, and no later try will be.
var ErrBlocked = errors.New("address is not allowed")

// BlockedError is an ErrBlocked that says what the address is. What it is may be
// shown to the operator only: it tells what a name stands for inside.
type BlockedError struct {
	Addr netip.Addr
	Why  string
}

func (e *BlockedError) Error() string { return fmt.Sprintf("%v: %s is %s", ErrBlocked, e.Addr, e.Why) }
func (e *BlockedError) Unwrap() error { return ErrBlocked }

// special are the prefixes in which no receiver of ours can be: the registries of
// special addresses of both families (RFC 6890 and what came after), and what
// clouds answer on in public space. The predicates of net/netip miss a dozen of them.
var special = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared by a carrier"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's metadata service"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local, where clouds keep their metadata service"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "for protocols"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), "for name servers"},
	{netip.MustParsePrefix("192.52.193.0/24"), "for multicast relays"},
	{netip.MustParsePrefix("192.88.99.0/24"), "for relays"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), "for name servers"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},

	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::/96"), "an IPv4 address in disguise"},
	{netip.MustParsePrefix("::ffff:0:0:0/96"), "an IPv4 address in disguise"},
	{netip.MustParsePrefix("64:ff9b::/96"), "translated to IPv4"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "translated to IPv4"},
	{netip.MustParsePrefix("100::/64"), "discarded"},
	{netip.MustParsePrefix("100:0:0:1::/64"), "a dummy"},
	{netip.MustParsePrefix("2001::/23"), "for protocols"},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "an IPv4 address in disguise"},
	{netip.MustParsePrefix("2620:4f:8000::/48"), "for name servers"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	{netip.MustParsePrefix("5f00::/16"), "for segment routing"},
	{netip.MustParsePrefix("fc00::/7"), "private"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// unicast is all of IPv6 that is given out for public use.
var unicast = netip.MustParsePrefix("2000::/3")

// Guard says which addresses may be dialled. Its zero value allows the public
// ones.
type Guard struct {
	// Allow are prefixes in which addresses may be dialled although they are not
	// public. An IPv4 prefix covers the mapped spelling of its addresses too.
	Allow []netip.Prefix
}

// Check returns nil when addr may be dialled, else a [BlockedError].
func (g Guard) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("") // Prefix.Contains sees through neither
	if !addr.IsValid() {
		return &BlockedError{addr, "no address"}
	}
	for _, p := range g.Allow {
		if p.Contains(addr) {
			return nil
		}
	}
	for _, s := range special {
		if s.prefix.Contains(addr) {
			return &BlockedError{addr, s.why}
		}
	}
	if addr.Is6() && !unicast.Contains(addr) {
		return &BlockedError{addr, "not given out for public use"}
	}
	return nil
}
