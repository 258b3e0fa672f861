package sandbox

import (
	"net/http"
	"strings"
	"time"
)

// callerKind is a set of kinds of credentials.
type callerKind uint8

const (
	callerAPIKey callerKind = 1 << iota
	callerAccessToken
	callerConsole
	callerClientSession
	callerPublishableKey
)

// caller is who sent a request.
type caller struct {
	kind        callerKind
	workspaceID string
	apiKeyID    string   // apiKeyID is set for an API key only.
	publishable string   // publishable is the key, for a publishable key only.
	session     *session // session is set for a client session token only.
}

// credential is what the headers of a request offer, not yet looked up.
type credential struct {
	kind  callerKind
	value string
}

// authenticate finds the caller. Only the kinds in allowed may call.
func (st *store) authenticate(h http.Header, allowed callerKind, now time.Time) (caller, *apiError) {
	c := offeredCredential(h)
	if c.kind&allowed == 0 {
		return caller{}, errUnauthorized("No authentication methods succeeded")
	}
	switch c.kind {
	case callerAPIKey:
		key, known := st.apiKeys[c.value]
		if !known {
			return caller{}, errUnauthorized("API Key not found")
		}
		return caller{kind: c.kind, workspaceID: key.workspaceID, apiKeyID: key.id}, nil
	case callerAccessToken:
		workspaces, known := st.accessTokens[c.value]
		if !known {
			return caller{}, errUnauthorized("Access token not found")
		}
		return callerInWorkspace(c.kind, h, workspaces)
	case callerConsole:
		workspaces, known := st.consoleTokens[c.value]
		if !known {
			return caller{}, errUnknownConsoleToken()
		}
		return callerInWorkspace(c.kind, h, workspaces)
	case callerClientSession:
		return st.callerOfToken(c.value, now)
	default:
		workspaceID, known := st.publishableKeys[c.value]
		if !known {
			return caller{}, errUnknownPublishableKey()
		}
		return caller{kind: c.kind, workspaceID: workspaceID, publishable: c.value}, nil
	}
}

// offeredCredential picks the credential by the headers and its prefix. The
// zero credential means that there is none of a known form.
func offeredCredential(h http.Header) credential {
	if bearer, present := authorization(h); present {
		return bearer
	}
	if token := firstHeader(h, "client-session-token", "seam-client-session-token"); token != "" {
		return credential{callerClientSession, token}
	}
	if key := firstHeader(h, "seam-publishable-key"); strings.HasPrefix(key, "seam_pk") {
		return credential{callerPublishableKey, key}
	}
	return credential{}
}

// authorization reads the Authorization header. An empty one is an absent one.
func authorization(h http.Header) (_ credential, present bool) {
	scheme, token, _ := strings.Cut(firstHeader(h, "Authorization"), " ")
	token = strings.TrimSpace(token)
	isBearer := strings.EqualFold(scheme, "Bearer")
	switch {
	case scheme == "", isBearer && token == "":
		return credential{}, false
	case !isBearer:
		return credential{}, true
	case strings.HasPrefix(token, "seam_cst"):
		return credential{callerClientSession, token}, true
	case strings.HasPrefix(token, "seam_at"):
		return credential{callerAccessToken, token}, true
	case strings.HasPrefix(token, "seam_pk"):
		// A publishable key belongs in its own header and opens nothing here.
		return credential{}, true
	case strings.HasPrefix(token, "seam_"):
		return credential{callerAPIKey, token}, true
	case strings.HasPrefix(token, "ey"):
		return credential{callerConsole, token}, true
	default:
		return credential{}, true
	}
}

// callerInWorkspace makes the caller of a credential that is valid in several
// workspaces and so must name one.
func callerInWorkspace(kind callerKind, h http.Header, workspaces []string) (caller, *apiError) {
	named := strings.ToLower(firstHeader(h, "seam-workspace"))
	for _, workspaceID := range workspaces {
		if named == workspaceID {
			return caller{kind: kind, workspaceID: workspaceID}, nil
		}
	}
	return caller{}, &apiError{
		status: http.StatusUnauthorized, kind: "workspace_not_found", message: "Workspace not found",
	}
}

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

// withUserIdentifier completes the body of a caller with a publishable key,
// who must say which user it acts for in the body or in a header.
func withUserIdentifier(root value, h http.Header) (value, *apiError) {
	const name = "user_identifier_key"
	if root.kind != kindObject || root.has(name) {
		return root, nil
	}
	key := firstHeader(h, "seam-user-identifier-key", "user-identifier-key")
	if key == "" {
		return value{}, errNoUserIdentifier()
	}
	root.members = append(root.members, member{name, textValue(key)})
	return root, nil
}

// firstHeader is the first header of the names that is not empty: some SDKs
// always send every credential header and leave the unused ones empty.
func firstHeader(h http.Header, names ...string) string {
	for _, name := range names {
		for _, v := range h.Values(name) {
			if v = strings.TrimSpace(v); v != "" {
				return v
			}
		}
	}
	return ""
}
