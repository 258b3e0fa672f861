package sandbox

import (
	"net/http"
	"strings"
)

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

// errUnknownPath is the answer to a path that is not there. The status is known. Assumed: the type and the wording.
func errUnknownPath() *apiError {
	return &apiError{status: http.StatusNotFound, kind: "not_found", message: "Not found"}
}

// methodNotAllowed is the answer to a method that a path does not have. Known: the text for create. Assumed: others are
// listed in the same way, by the alphabet, and Allow, which HTTP asks for, is there.
func methodNotAllowed(methods []string) answer {
	list := strings.Join(methods, ",")
	a := errorAnswer(&apiError{
		status: http.StatusMethodNotAllowed, kind: "method_not_allowed", message: "only " + list + " accepted",
	})
	a.allow = strings.Join(methods, ", ")
	return a
}

// errRateLimited is the answer to too many requests. Assumed: the type and the wording, because rate limits are
// documented for devices only.
func errRateLimited() *apiError {
	return &apiError{status: http.StatusTooManyRequests, kind: "too_many_requests", message: "Too many requests"}
}
