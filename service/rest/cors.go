package rest

import (
	"net/http"

	"github.com/rs/cors"
)

// withCORS lets pages of the configured origins call from a browser, as Seam itself does for its browser SDK. Without
// origins it changes nothing: no browser may call, and OPTIONS is a method like any other.
func withCORS(next http.Handler, config Config) http.Handler {
	if len(config.CORSOrigins) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins: config.CORSOrigins,
		AllowedMethods: []string{
			http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		},
		AllowedHeaders: append([]string{"content-type"}, config.Headers...),
		ExposedHeaders: []string{headerRequestID},
		// Ten minutes; browsers cap it at two hours.
		MaxAge: 600,
	}).Handler(next)
}
