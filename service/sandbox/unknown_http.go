package sandbox

import (
	"net/http"
	"strings"
)

// This file has the assumptions about Seam's HTTP, below the endpoints. See unknown.go.

// exposedHeaders are the headers of a response that a page may read. Assumed: the request id, because a user of an
// SDK quotes it to Seam's support.
func exposedHeaders() string {
	return "seam-request-id"
}

// respondToPreflight lets a page send any request. Assumed: each path takes a preflight and allows all methods, as in
// Seam's published fake, which responds with 200 too. Assumed: each requested header is allowed, because the fake's
// fixed list leaves out headers that the SDKs send, and there is no Access-Control-Max-Age.
//
// An OPTIONS that is no preflight is assumed to be a method like any other, although the fake treats it as one.
func respondToPreflight(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	if requested := r.Header.Get("Access-Control-Request-Headers"); requested != "" {
		w.Header().Set("Access-Control-Allow-Headers", requested)
	}
	w.WriteHeader(http.StatusOK)
}

// errUnknownPath is the response to a path that does not exist. The status is known. Assumed: the type and the wording.
func errUnknownPath() *apiError {
	return &apiError{status: http.StatusNotFound, kind: "not_found", message: "Not found"}
}

// methodNotAllowed is the response to a method that a path does not have. Known: the text for create. Assumed: others
// are listed in the same way, in alphabetical order, with the header Allow, which HTTP requires.
func methodNotAllowed(methods []string) response {
	list := strings.Join(methods, ",")
	res := errorResponse(&apiError{
		status: http.StatusMethodNotAllowed, kind: "method_not_allowed", message: "only " + list + " accepted",
	})
	res.allow = strings.Join(methods, ", ")
	return res
}

// errRateLimited is the response to too many requests. Assumed: the type and the wording, because rate limits are
// documented for devices only.
func errRateLimited() *apiError {
	return &apiError{status: http.StatusTooManyRequests, kind: "too_many_requests", message: "Too many requests"}
}
