package seam

import (
	"net/http"
	"net/url"
)

// Semantics reports whether a request is safe or idempotent (RFC 9110).
type Semantics int

const (
	// Safe requests change nothing.
	Safe Semantics = iota
	// Idempotent requests have the same effect however often they are sent.
	Idempotent
	// NonIdempotent requests have their effect each time: another session, with another credential.
	NonIdempotent
)

// Endpoint is one endpoint of Seam's API, in the method form that every version of it serves: POST with a body.
type Endpoint struct {
	Method    string
	Path      string
	Semantics Semantics
	// Success is what a 2xx response needs to count as a success.
	Success Success
}

// Create is the endpoint that creates a session and fails if the user identifier has one. A retry of it adds a session,
// or fails because of the one that the first request made.
func Create() Endpoint {
	return Endpoint{http.MethodPost, "/client_sessions/create", NonIdempotent, OneSession}
}

// CreateOrGet is the endpoint that creates a session, or returns the one that the user identifier has. HasKey
// reports whether the request has a user identifier.
func CreateOrGet(hasKey bool) Endpoint {
	return Endpoint{http.MethodPut, "/client_sessions/create", idempotentIf(hasKey), OneSession}
}

// Get is the endpoint that returns a session.
func Get() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/get", Safe, OneSession} }

// GetOrCreate is the endpoint that returns the session of a user identifier, updated, or creates it. HasKey reports
// whether the request has a user identifier.
func GetOrCreate(hasKey bool) Endpoint {
	return Endpoint{http.MethodPost, "/client_sessions/get_or_create", idempotentIf(hasKey), OneSession}
}

// List is the endpoint that returns the sessions of a workspace.
func List() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/list", Safe, Sessions} }

// GrantAccess is the endpoint that grants a session access.
func GrantAccess() Endpoint {
	return Endpoint{http.MethodPost, "/client_sessions/grant_access", Idempotent, Granted}
}

// Revoke is the endpoint that revokes a session.
func Revoke() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/revoke", Idempotent, Done} }

// Delete is the endpoint that deletes a session.
func Delete() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/delete", Idempotent, Done} }

// endpoints are all of them, each path once.
func endpoints() []Endpoint {
	return []Endpoint{Create(), Get(), GetOrCreate(false), List(), GrantAccess(), Revoke(), Delete()}
}

// newRequest returns a request with what all those to a path have in common.
func newRequest(base *url.URL, path string) *http.Request {
	address := *base
	address.Path += path
	if address.RawPath != "" { // The base URL has something escaped.
		address.RawPath += path
	}
	return &http.Request{URL: &address, Host: address.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// idempotentIf returns the semantics of a request that finds by its key what an earlier one has created.
func idempotentIf(hasKey bool) Semantics {
	if hasKey {
		return Idempotent
	}
	return NonIdempotent
}
