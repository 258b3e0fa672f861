package rest

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/clientsession/client-session-service/service/text"
)

// Hosts are the Host headers that a listener accepts. Any other Host is a DNS-rebinding attempt: a page's own name then
// resolves to the listener's address, so that to the browser the request is same-origin.
type Hosts struct {
	// Names are the names that are allowed beside localhost, in lower case.
	Names []string
	// LoopbackOnly is true on a loopback listener, where only loopback addresses are allowed. On other listeners every
	// address is: an address, unlike a name, cannot be rebound.
	LoopbackOnly bool
}

// Allow reports whether a request with this Host may pass.
func (h Hosts) Allow(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	// A dot at the end makes a name absolute. It is the same name.
	host = strings.ToLower(strings.Trim(strings.TrimSuffix(host, "."), "[]"))
	if text.IsLoopback(host) || slices.Contains(h.Names, host) {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil && !h.LoopbackOnly
}
