package rest

import (
	"fmt"
	"net/http"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// rejectCrossOrigin refuses what a page in a browser may send to any address without being asked. Where the service
// holds a credential of its own, to reach it is to use it: a page of a stranger's, opened on a machine that reaches the
// service, must not. Pages of the configured origins may.
//
// Where callers have nothing to prove, such a page must not get in by its name being pointed here either.
func rejectCrossOrigin(next http.Handler, config Config) (http.Handler, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range config.CORSOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("trust the pages of an origin: %w", err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// net/http lets GET, HEAD and OPTIONS pass, as no page can read the response. Here a page in an image's URL would
		// already have used the credential, and a preflight tells a page that it may, so they are judged as a POST.
		post := &http.Request{Method: http.MethodPost, URL: r.URL, Host: r.Host, Header: r.Header}
		if protection.Check(post) != nil || (config.RequireKnownHost && !config.Hosts.Allow(r.Host)) {
			refuse(r.Context(), config.Logger, "cross-origin request refused", w, r, seamerr.CrossOrigin())
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
