package seam

import "net/http"

// Endpoint is one endpoint of Seam's API, in the method form that every version of it serves: POST with a body.
type Endpoint struct {
	Method string
	Path   string
}

// Create is the endpoint that creates a session and fails if the user identifier has one.
func Create() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/create"} }

// CreateOrReturn is the endpoint that creates a session, or returns the one that the user identifier has.
func CreateOrReturn() Endpoint { return Endpoint{http.MethodPut, "/client_sessions/create"} }

// Get is the endpoint that returns a session.
func Get() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/get"} }

// GetOrCreate is the endpoint that returns the session of a user identifier, updated, or creates it.
func GetOrCreate() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/get_or_create"} }

// List is the endpoint that returns the sessions of a workspace.
func List() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/list"} }

// GrantAccess is the endpoint that grants a session access.
func GrantAccess() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/grant_access"} }

// Revoke is the endpoint that revokes a session.
func Revoke() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/revoke"} }

// Delete is the endpoint that deletes a session.
func Delete() Endpoint { return Endpoint{http.MethodPost, "/client_sessions/delete"} }
