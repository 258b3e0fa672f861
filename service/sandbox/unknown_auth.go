package sandbox

import (
	"net/http"
	"strings"
	"time"
)

// This file has the assumptions about credentials. See unknown.go.

// offeredCredential picks the credential of a request. The zero credential means that there is none, or one that is
// not of the form that its header requires. Known: the forms. Assumed: they are looked for in this order, which is that
// of Seam's published fake, and an invalid header is not skipped for the next one, because that would hide the mistake.
func offeredCredential(h http.Header) credential {
	if value := headerValue(h, "Authorization"); value != "" {
		return credentialOf(bearerToken(value), ^callerPublishableKey)
	}
	if token := headerValue(h, "client-session-token", "seam-client-session-token"); token != "" {
		return credentialOf(token, callerClientSession)
	}
	return credentialOf(headerValue(h, "seam-publishable-key"), callerPublishableKey)
}

// bearerToken is the token of an Authorization header, empty if it has none. Known: the form "Bearer seam_...".
// Assumed: the match is exact, as in Seam's published fake, although HTTP lets a scheme be in lower case and more
// spaces follow it. A client that writes it otherwise may fail at Seam, and so it fails here.
func bearerToken(authorization string) string {
	token, found := strings.CutPrefix(authorization, "Bearer ")
	if !found {
		return ""
	}
	return token
}

// headerValue is the value of the first of the named headers that is not empty. Known: an empty header is an absent
// one. Assumed: several values of one header are one list, as HTTP says, and so an unknown credential.
func headerValue(h http.Header, names ...string) string {
	for _, name := range names {
		var values []string
		for _, v := range h.Values(name) {
			if v = strings.TrimSpace(v); v != "" {
				values = append(values, v)
			}
		}
		if len(values) > 0 {
			return strings.Join(values, ", ")
		}
	}
	return ""
}

// errMayNotCall is the response to no credential, to one of no known form, and to one of a kind that may not call the
// endpoint. The text is known. Assumed: it is the same for all of them, because it says that each method was tried.
func errMayNotCall() *apiError {
	return errUnauthorized("No authentication methods succeeded")
}

// callerOfKey is the caller of an API key. Known: the key implies the workspace. Assumed: a workspace header beside it
// is ignored, also when it names another one, because SDKs send that header with every credential.
func callerOfKey(key apiKey) caller {
	return caller{kind: callerAPIKey, workspaceID: key.workspaceID, apiKeyID: key.id}
}

// errWorkspace is the response to a personal access token or a JWT without a workspace, or with one that it is not for.
// Assumed: it is the one documented error about workspaces, with status 401, in both cases. Seam's published fake has a
// missing_workspace_id with status 400 for the first, but no document of Seam's names that type.
func errWorkspace() *apiError {
	return &apiError{
		status: http.StatusUnauthorized, kind: "workspace_not_found", message: "Workspace not found",
	}
}

// errUnknownConsoleToken is the response to a JWT that is not known. Assumed: no error of its own, because none is
// documented.
func errUnknownConsoleToken() *apiError {
	return errUnauthorized("No authentication methods succeeded")
}

// errUnknownPublishableKey is the response to a publishable key that is not known. Assumed: the key stands for a
// workspace, which is not found then. Seam's published fake says so, with a type that is documented.
func errUnknownPublishableKey() *apiError {
	return errWorkspace()
}

// callerOfToken is the caller of a client session token. The types of the errors are known. Assumed: a session that is
// revoked and has expired counts as revoked, because revoking is deliberate.
func (st *store) callerOfToken(token string, now time.Time) (caller, *apiError) {
	owner, known := st.byToken[token]
	switch {
	case !known:
		return caller{}, errClientSessionToken("client_session_not_found")
	case !owner.revokedAt.IsZero():
		return caller{}, errClientSessionToken("client_session_revoked")
	case !now.Before(owner.expiresAt):
		return caller{}, errClientSessionToken("client_session_expired")
	}
	return caller{kind: callerClientSession, workspaceID: owner.workspaceID, session: owner}, nil
}

// errClientSessionToken is the response to an invalid client session token. The types are known. Assumed: the
// wording of the messages, because only that for a status of 404 is documented.
func errClientSessionToken(kind string) *apiError {
	message := map[string]string{
		"client_session_not_found": "Client session not found",
		"client_session_expired":   "Client session expired",
		"client_session_revoked":   "Client session revoked",
	}[kind]
	return &apiError{status: http.StatusUnauthorized, kind: kind, message: message}
}

// withUserIdentifier completes the body of a caller with a publishable key, which must name its user in the body or
// in a header. Assumed: the body overrides the headers, as for all parameters, and validation refuses an empty key in
// the body, because its error says more.
func withUserIdentifier(root value, h http.Header) (value, *apiError) {
	const name = "user_identifier_key"
	if root.kind != kindObject || root.has(name) {
		return root, nil
	}
	key := headerValue(h, "seam-user-identifier-key", "user-identifier-key")
	if key == "" {
		return value{}, errNoUserIdentifier()
	}
	root.members = append(root.members, member{name, textValue(key)})
	return root, nil
}

// errNoUserIdentifier is the response to a publishable key that comes without a user. Assumed: the wording, and that it
// comes before validation, because its status says that it is about the credential.
func errNoUserIdentifier() *apiError {
	return &apiError{
		status: http.StatusUnauthorized, kind: "publishable_key_requires_user_identifier_key",
		message: "A publishable key requires a user_identifier_key",
	}
}

// errMustBeEmpty is the response to a publishable key that asks for resources. Assumed: the wording, which follows the
// type.
func errMustBeEmpty() *apiError {
	return &apiError{
		status: http.StatusForbidden, kind: "publishable_keys_must_create_empty_client_sessions",
		message: "Publishable keys must create empty client sessions",
	}
}
