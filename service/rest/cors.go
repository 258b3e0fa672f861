package rest

import (
	"net/http"
	"slices"

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
		// Seam's SDK calls with credentials mode "include" when it has a client session token, and a browser then hands the
		// page no response without this. The service reads no cookie, so it gives a page no more than the page brings
		// along. It is left out where that is not so sure: for pages of origins that nobody has listed, which no browser
		// would take with "*", and where to reach the service is to use its own credential.
		AllowCredentials: !config.ServiceCredential && !slices.Contains(config.CORSOrigins, "*"),
		// Ten minutes; browsers cap it at two hours.
		MaxAge: 600,
	}).Handler(next)
}
