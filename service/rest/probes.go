package rest

import (
	"io"
	"net/http"
)

// WithProbes answers health checks, and passes on all other requests. A health check needs no credential and is not a
// call. It may have any Host, or none: load balancers send an address, the name of their cluster, or HTTP/1.0 without a
// Host. A health check tells anybody whether the service is ready, and nothing else.
//
// The service is live as long as it responds at all, and ready while it accepts calls, whatever the state of Seam:
// removing a replica during an outage of Seam would not help.
func WithProbes(ready func() bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !isProbe(r):
			next.ServeHTTP(w, r)
		case r.URL.Path == "/livez" || ready():
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = io.WriteString(w, "ok\n")
		default:
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
}

// isProbe reports whether a request is a health check. HAProxy sends OPTIONS unless it is told another method.
func isProbe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		// Load balancers that know one path alone know /healthz, and need to hear of the drain.
		return r.URL.Path == "/livez" || r.URL.Path == "/readyz" || r.URL.Path == "/healthz"
	}
	return false
}

// withProbes answers health checks at the port of the REST face, for load balancers that reach no other. Over HTTP/2 a
// response may be left unread. Over HTTP/1.1 it takes no place, so that clients that fill all places with what they do
// not read cannot make the service look as if it were not ready.
func (f *face) withProbes(next http.Handler) http.Handler {
	probes := WithProbes(f.Ready, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 || !isProbe(r) {
			probes.ServeHTTP(w, r)
			return
		}
		f.unread.write(w, r, f.unread.strangers, func() { probes.ServeHTTP(w, r) })
	})
}
