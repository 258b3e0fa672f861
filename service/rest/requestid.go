package rest

import (
	"net/http"

	"github.com/clientsession/client-session-service/service/callinfo"
)

// The headers for the ids of a request: Seam's, and that of the call in the service's log.
const (
	headerRequestID = "Seam-Request-Id"
	headerCallID    = "X-Request-Id"
)

// withCallID sets the id of the request on its response, before anything can refuse the request.
func withCallID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()[headerCallID] = []string{callinfo.RequestID(r.Header[headerCallID])}
		next.ServeHTTP(w, r)
	})
}

// callID returns the id that withCallID has set.
func callID(w http.ResponseWriter) string { return w.Header().Get(headerCallID) }
