package rest

import (
	"net"
	"net/http"
	"net/netip"
	"slices"

	"github.com/clientsession/service/service/seamerr"
)

// withoutForeignPages refuses what a page in a browser may send to any address without being asked. Where the service
// holds a credential of its own, to reach it is to use it: a page of a stranger's, opened on a machine that reaches the
// service, must not. Pages of the configured origins may.
//
// A face that only its own machine reaches is called by an address or as localhost; another host is that of a page
// whose name was pointed at this machine.
func withoutForeignPages(next http.Handler, config Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		known := slices.Contains(config.CORSOrigins, origin)
		site := r.Header.Get("Sec-Fetch-Site")
		foreign := (origin != "" || site == "cross-site" || site == "same-site") && !known
		if foreign || (config.CheckHost && !isLoopback(r.Host)) {
			refuse(r.Context(), config.Logger, "foreign page", w, r, seamerr.ForeignPage())
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
