package rest

import (
	"net/http"

	"github.com/clientsession/client-session-service/service/call"
)

// The headers for the ids of a request: Seam's, and that of the call in the service's log.
const (
	headerSeamRequestID = "Seam-Request-Id"
	headerCallID        = "X-Request-Id"
)

// withCallID sets the id of the call on each response, before anything can refuse the request. It is around all else.
// So it also keeps caches on the way from keeping a response, since a session has a token, and recovers the panics
// outside of the calls: call.Serve recovers those inside.
func withCallID(next http.Handler, calls *call.Server) http.Handler {
	noStore := []string{"no-store"} // Shared by all responses: net/http only reads it.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := call.NewCallID(r.Header[headerCallID])
		w.Header()["Cache-Control"] = noStore
		w.Header()[headerCallID] = []string{id}
		defer func() { //nolint:contextcheck // The context of the request is the parent.
			value := recover()
			if value == http.ErrAbortHandler { //nolint:errorlint // It is the very value.
				panic(value) // The response is given up, and net/http ends it.
			}
			if value != nil {
				ctx := call.NewContext(r.Context(), &call.Call{Face: call.FaceREST, CallID: id})
				e := calls.Panicked(ctx, sanitizeForLog(r.Method), value)
				e.SeamRequestID = id
				writeError(w, e)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// callID returns the id that withCallID has set.
func callID(w http.ResponseWriter) string { return w.Header().Get(headerCallID) }
