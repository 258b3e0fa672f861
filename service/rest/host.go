package rest

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Hosts says to which Host headers a listener answers. A stranger's page can have its own name point at any address
// (DNS rebinding), and a browser then takes what listens there for the page's own server. Only the Host that it sends
// still tells them apart.
type Hosts struct {
	// Names are those that are allowed beside localhost, in lower case.
	Names []string
	// LoopbackOnly is true on a listener that only its own machine reaches. Nobody can point an address elsewhere, so any
	// is allowed on other listeners, but here another machine's is no way to have got here.
	LoopbackOnly bool
}

// Allow says whether a request with this Host may pass.
func (h Hosts) Allow(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || slices.Contains(h.Names, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || !h.LoopbackOnly)
}
