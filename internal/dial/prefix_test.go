package dial_test

import (
	"errors"
	"net/netip"
	"testing"

	"carillon/internal/dial"
)

// TestPrefixes holds the first and last address of every special prefix to being
// refused, and their neighbours outside to what they are.
func TestPrefixes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		first, last   string
		before, after string // public neighbours; "" where there is none
	}{
		{"ThisNetwork", "0.0.0.0", "0.255.255.255", "", "1.0.0.0"},
		{"Private10", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
		{"Carrier", "100.64.0.0", "100.127.255.255", "100.63.255.255", "100.128.0.0"},
		{"Loopback", "127.0.0.0", "127.255.255.255", "126.255.255.255", "128.0.0.0"},
		{"CloudWireServer", "168.63.129.16", "168.63.129.16", "168.63.129.15", "168.63.129.17"},
		{"LinkLocal", "169.254.0.0", "169.254.255.255", "169.253.255.255", "169.255.0.0"},
		{"Metadata", "169.254.169.254", "169.254.169.254", "", ""},
		{"MetadataOfCarrierRange", "100.100.100.200", "100.100.100.200", "", ""},
		{"Private172", "172.16.0.0", "172.31.255.255", "172.15.255.255", "172.32.0.0"},
		{"Protocols", "192.0.0.0", "192.0.0.255", "191.255.255.255", "192.0.1.0"},
		{"Documentation1", "192.0.2.0", "192.0.2.255", "192.0.1.255", "192.0.3.0"},
		{"NameServers1", "192.31.196.0", "192.31.196.255", "192.31.195.255", "192.31.197.0"},
		{"MulticastRelays", "192.52.193.0", "192.52.193.255", "192.52.192.255", "192.52.194.0"},
		{"Relays", "192.88.99.0", "192.88.99.255", "192.88.98.255", "192.88.100.0"},
		{"Private192", "192.168.0.0", "192.168.255.255", "192.167.255.255", "192.169.0.0"},
		{"NameServers2", "192.175.48.0", "192.175.48.255", "192.175.47.255", "192.175.49.0"},
		{"Benchmarks", "198.18.0.0", "198.19.255.255", "198.17.255.255", "198.20.0.0"},
		{"Documentation2", "198.51.100.0", "198.51.100.255", "198.51.99.255", "198.51.101.0"},
		{"Documentation3", "203.0.113.0", "203.0.113.255", "203.0.112.255", "203.0.114.0"},
		{"Multicast", "224.0.0.0", "239.255.255.255", "223.255.255.255", ""},
		{"Reserved", "240.0.0.0", "255.255.255.255", "", ""},

		{"Unspecified6", "::", "::", "", ""},
		{"Loopback6", "::1", "::1", "", ""},
		{"Compatible", "::2", "::ffff:ffff", "", ""},
		{"MappedLoopback", "::ffff:127.0.0.1", "::ffff:127.0.0.1", "", ""},
		{"MappedPrivate", "::ffff:10.0.0.0", "::ffff:10.255.255.255", "::ffff:9.255.255.255", "::ffff:11.0.0.0"},
		{"MappedThisNetwork", "::ffff:0.0.0.0", "::ffff:0.0.0.0", "", ""},
		{"Translated", "::ffff:0:127.0.0.1", "::ffff:0:127.0.0.1", "", ""},
		{"NAT64", "64:ff9b::", "64:ff9b::255.255.255.255", "", ""},
		{"NAT64OfPublic", "64:ff9b::8.8.8.8", "64:ff9b::8.8.8.8", "", ""},
		{"NAT64Local", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "", ""},
		{"Discard", "100::", "100::ffff:ffff:ffff:ffff", "", ""},
		{"Dummy", "100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", "", ""},
		{"Teredo", "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
		{"Protocols6", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2000:ffff::", "2001:200::"},
		{"Documentation6", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db7::1", "2001:db9::"},
		{"SixToFour", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:ffff::", "2003::"},
		{"SixToFourLoopback", "2002:7f00:1::", "2002:7f00:1::", "", ""},
		{"NameServers6", "2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "2620:4f:7fff::", "2620:4f:8001::"},
		{"Documentation6New", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3ffe:ffff::", "3fff:1000::"},
		{"NotGivenOutBelow", "200::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", "2000::"},
		{"NotGivenOutAbove", "4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
		{"SegmentRouting", "5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
		{"Private6", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
		{"Metadata6", "fd00:ec2::254", "fd00:ec2::254", "", ""},
		{"LinkLocal6", "fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
		{"Zone", "fe80::1%eth0", "::1%lo", "", ""},
		{"SiteLocal", "fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
		{"Multicast6", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "", ""},
	}
	var guard dial.Guard
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []string{tt.first, tt.last} {
				var blocked *dial.BlockedError
				if err := guard.Check(netip.MustParseAddr(s)); !errors.As(err, &blocked) || !errors.Is(err, dial.ErrBlocked) || blocked.Why == "" {
					t.Errorf("Check(%s) = %v, want it refused with a reason", s, err)
				}
			}
			for _, s := range []string{tt.before, tt.after} {
				if s == "" {
					continue
				}
				if err := guard.Check(netip.MustParseAddr(s)); err != nil {
					t.Errorf("Check(%s) = %v, want it allowed", s, err)
				}
			}
		})
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	guard := dial.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}}
	for addr, allowed := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": false,
		"fd00:1::9": true, "fd00:2::9": false, "64:ff9b::10.1.2.3": false, "8.8.8.8": true, "2606:4700::1": true,
	} {
		if err := guard.Check(netip.MustParseAddr(addr)); (err == nil) != allowed {
			t.Errorf("Check(%s) = %v, want allowed: %t", addr, err, allowed)
		}
	}
	if guard.Check(netip.Addr{}) == nil {
		t.Error("no address at all is allowed")
	}
}
