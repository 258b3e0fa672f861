package interceptor

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// clientAddress returns where a call came from, for the log alone. It is the other end of the connection, or, where
// that is a trusted proxy, what the nearest proxy that is not trusted was told by: X-Forwarded-For is a text that
// anybody can send, so only what trusted proxies appended to it counts.
func clientAddress(ctx context.Context, trusted []netip.Prefix) string {
	from, ok := peer.FromContext(ctx)
	if !ok || from.Addr == nil {
		return ""
	}
	address := from.Addr.String()
	if !isTrusted(address, trusted) {
		return address
	}
	hops := strings.Split(strings.Join(metadata.ValueFromIncomingContext(ctx, "x-forwarded-for"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		ip, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return address // Not what a proxy writes: what stands before it is worth no more.
		}
		if !isTrusted(ip.String(), trusted) {
			return ip.String()
		}
	}
	return address
}

func isTrusted(address string, trusted []netip.Prefix) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(ip.Unmap()) })
}
