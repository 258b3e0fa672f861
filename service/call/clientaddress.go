package call

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress returns the client's address, for the log only. It is the peer of the connection or, where that is a
// trusted proxy, the rightmost untrusted address in X-Forwarded-For of the call's metadata: any client can send that
// header, so only what trusted proxies appended to it counts.
func clientAddress(c *Call, trusted []netip.Prefix) string {
	if c.Peer.Addr == nil {
		return ""
	}
	address := c.Peer.Addr.String()
	if !isTrusted(address, trusted) {
		return address
	}
	hops := strings.Split(strings.Join(c.Metadata["x-forwarded-for"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		ip, err := parseAddress(strings.TrimSpace(hop))
		if err != nil {
			return address // No proxy wrote this, so nothing to the left of it can be trusted either.
		}
		if !isTrusted(ip.String(), trusted) {
			return ip.String()
		}
	}
	return address
}

func isTrusted(address string, trusted []netip.Prefix) bool {
	if len(trusted) == 0 {
		return false
	}
	ip, err := parseAddress(address)
	return err == nil && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// parseAddress returns the IP address of an address, which may have a port, or brackets as IPv6 has with a port.
func parseAddress(address string) (netip.Addr, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]")
	}
	ip, err := netip.ParseAddr(host)
	return ip.Unmap().WithZone(""), err // A zone may be any text.
}
