package rest

import (
	"net/http"
	"slices"

	"github.com/rs/cors"
)

// headerExposed lists the headers of a response that a page of another origin may read.
const headerExposed = "Access-Control-Expose-Headers"

// withCORS allows cross-origin requests of the configured origins, as Seam itself does for its browser SDK. Without
// origins it changes nothing: no page may call, and OPTIONS is a method like any other.
func (f *face) withCORS(next http.Handler) http.Handler {
	if len(f.CORSOrigins) == 0 {
		return next
	}
	allowed := cors.New(cors.Options{
		AllowedOrigins: f.CORSOrigins,
		AllowedMethods: []string{
			http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		},
		AllowedHeaders: append([]string{"content-type"}, f.Headers...),
		// Seam's SDK waits for Retry-After before it retries.
		ExposedHeaders: []string{headerSeamRequestID, headerCallID, "Retry-After"},
		// Seam's SDK uses credentials mode "include" when it has a client session token, and a browser then withholds the
		// response from the page without this header. The service reads no cookie, so the page's own credential is all that
		// counts. The header is left out where that is less certain: with "*", for which browsers refuse it anyway, and
		// with a service credential, which every request that reaches the service uses.
		AllowCredentials: !f.ServiceCredential && !slices.Contains(f.CORSOrigins, "*"),
		// Ten minutes; browsers cap it at two hours.
		MaxAge: 600,
	}).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			f.others.preflight.Inc()
		}
		allowed.ServeHTTP(w, r)
	})
}
