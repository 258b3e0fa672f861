package call

import (
	"net"
	"net/netip"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, test := range map[string]struct {
		peer, forwarded, want string
	}{
		"no proxy":                        {"192.0.2.1:5", "", "192.0.2.1:5"},
		"an untrusted peer's claim":       {"192.0.2.1:5", "198.51.100.7", "192.0.2.1:5"},
		"one trusted proxy":               {"10.0.0.1:5", "198.51.100.7", "198.51.100.7"},
		"a claim before the proxy's word": {"10.0.0.1:5", "203.0.113.9, 198.51.100.7", "198.51.100.7"},
		"two trusted proxies":             {"10.0.0.1:5", "198.51.100.7,10.0.0.2", "198.51.100.7"},
		"over IPv6":                       {"[fd00::1]:5", "2001:db8::7", "2001:db8::7"},
		"IPv4 in IPv6":                    {"[::ffff:10.0.0.1]:5", "198.51.100.7", "198.51.100.7"},
		"a proxy that says nothing":       {"10.0.0.1:5", "", "10.0.0.1:5"},
		"with a port":                     {"10.0.0.1:5", "203.0.113.7:51008", "203.0.113.7"},
		"IPv6 with a port":                {"10.0.0.1:5", "[2001:db8::7]:443", "2001:db8::7"},
		"IPv6 in brackets":                {"10.0.0.1:5", "[2001:db8::7]", "2001:db8::7"},
		"IPv4 in IPv6, of a proxy":        {"10.0.0.1:5", "198.51.100.7, ::ffff:10.0.0.2", "198.51.100.7"},
		"a zone":                          {"10.0.0.1:5", "fe80::1%<script>", "fe80::1"},
		"not an address":                  {"10.0.0.1:5", "198.51.100.7, <script>", "10.0.0.1:5"},
		"none but trusted":                {"10.0.0.1:5", "10.0.0.2", "10.0.0.1:5"},
	} {
		t.Run(name, func(t *testing.T) {
			address, err := net.ResolveTCPAddr("tcp", test.peer)
			if err != nil {
				t.Fatal(err)
			}
			c := &Call{Peer: peer.Peer{Addr: address}, Metadata: metadata.Pairs("x-forwarded-for", test.forwarded)}
			if got := clientAddress(c, trusted); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
