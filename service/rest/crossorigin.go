package rest

import (
	"fmt"
	"net/http"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// rejectCrossOrigin refuses cross-origin browser requests (CSRF), except those of the configured origins. It protects a
// service credential, which every request that reaches the service uses: a page of another origin, opened on a machine
// that can reach the service, must not use it.
//
// Where callers are not authenticated, it also checks the Host against DNS rebinding.
func (f *face) rejectCrossOrigin(next http.Handler) (http.Handler, error) {
	protection := http.NewCrossOriginProtection()
	for _, origin := range f.CORSOrigins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("trust the pages of an origin: %w", err)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// net/http allows GET, HEAD and OPTIONS, since no page can read the response. Here an image's URL would already
		// have used the credential, and a preflight would allow the page to go on. So each method is checked as a POST.
		post := &http.Request{Method: http.MethodPost, URL: r.URL, Host: r.Host, Header: r.Header}
		if protection.Check(post) != nil || (f.RequireKnownHost && !f.Hosts.Allow(r.Host)) {
			w.Header().Set("Vary", "Origin") // A cache must not give the refusal to another origin.
			f.refuse(w, r, f.others.crossOrigin, "cross-origin request refused", seamerr.CrossOrigin())
			return
		}
		next.ServeHTTP(w, r)
	}), nil
}
