package sandbox

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// rejectCrossOrigin refuses cross-origin requests to a control route (CSRF). A sandbox runs on the machine of a
// developer, whose browser lets every page send simple requests to it: no page may reset it or inject faults.
//
// A control route is reached by an IP address or as localhost. Another Host is a DNS-rebinding attempt: to the browser,
// a page whose own name was pointed at the sandbox is of the same origin.
func rejectCrossOrigin(r *http.Request) *apiError {
	if !isAddressOrLocalhost(r.Host) {
		return errForbidden("The control routes are served under an IP address or localhost only")
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != scheme+r.Host {
			return errForbidden("The control routes take no cross-origin requests")
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return nil
	}
	return errForbidden("The control routes take no cross-origin requests")
}

func errForbidden(message string) *apiError {
	return newError(http.StatusForbidden, "forbidden", message)
}

func isAddressOrLocalhost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || strings.EqualFold(host, "localhost")
}
