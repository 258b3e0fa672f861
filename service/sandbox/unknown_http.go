package sandbox

import "net/http"

// This file has what nobody outside Seam knows about its HTTP, below the endpoints. See unknown.go.

// exposedHeaders are the headers of an answer that a page may read. Assumed: the request id, because it is what a user
// of an SDK quotes to Seam.
func exposedHeaders() string {
	return "seam-request-id"
}

// answerPreflight lets a page send any request. Assumed: each path allows all methods and is there for a preflight, as
// in Seam's published fake, which answers with 200 too. Assumed: each header that is asked for is allowed, because the
// fake's fixed list leaves out headers that the SDKs send, and nothing is said about how long the answer holds.
//
// An OPTIONS that is no preflight is assumed to be a method like any other, although the fake answers it alike.
func answerPreflight(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		w.Header().Set("Access-Control-Allow-Headers", asked)
	}
	w.WriteHeader(http.StatusOK)
}
