package rest

import (
	"net/http"
	"slices"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// rejectCrossOrigin refuses what a page in a browser may send to any address without being asked. Where the service
// holds a credential of its own, to reach it is to use it: a page of a stranger's, opened on a machine that reaches the
// service, must not. Pages of the configured origins may.
//
// Where callers have nothing to prove, such a page must not get in by its name being pointed here either.
func rejectCrossOrigin(next http.Handler, config Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		known := slices.Contains(config.CORSOrigins, origin)
		site := r.Header.Get("Sec-Fetch-Site")
		foreign := (origin != "" || site == "cross-site" || site == "same-site") && !known
		if foreign || (config.RequireKnownHost && !config.Hosts.Allow(r.Host)) {
			refuse(r.Context(), config.Logger, "cross-origin request refused", w, r, seamerr.CrossOrigin())
			return
		}
		next.ServeHTTP(w, r)
	})
}
