package rest

import "net/http"

// noStore keeps caches on the way from keeping responses: a session has a token.
func noStore(next http.Handler) http.Handler {
	value := []string{"no-store"} // Shared by all responses: net/http only reads it.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Cache-Control"] = value
		next.ServeHTTP(w, r)
	})
}
