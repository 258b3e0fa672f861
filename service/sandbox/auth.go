package sandbox

import (
	"net/http"
	"slices"
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

// caller is the authenticated sender of a request.
type caller struct {
	kind        callerKind
	workspaceID string
	apiKeyID    string   // apiKeyID is set for an API key only.
	publishable string   // publishable is the key, for a publishable key only.
	session     *session // session is set for a client session token only.
}

// credential is the credential in the headers of a request, before it is looked up.
type credential struct {
	kind  callerKind
	value string
}

// authenticate finds the caller. Only the kinds in allowed may call.
func (st *store) authenticate(h http.Header, allowed callerKind, now time.Time) (caller, *apiError) {
	c := offeredCredential(h)
	if c.kind&allowed == 0 {
		return caller{}, errMayNotCall()
	}
	switch c.kind {
	case callerAPIKey:
		key, known := st.apiKeys[c.value]
		if !known {
			return caller{}, errUnauthorized("API Key not found")
		}
		return callerOfKey(key), nil
	case callerAccessToken:
		return callerInWorkspace(c, h, st.accessTokens, errUnauthorized("Access token not found"))
	case callerConsole:
		return callerInWorkspace(c, h, st.consoleTokens, errUnknownConsoleToken())
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

// credentialOf reads a token by its prefix. It is the zero credential when the prefix is unknown, or that of a kind
// which does not belong where the token was found.
func credentialOf(token string, kinds callerKind) credential {
	kind := kindOf(token)
	if kind&kinds == 0 {
		return credential{}
	}
	return credential{kind, token}
}

func kindOf(token string) callerKind {
	switch {
	case strings.HasPrefix(token, "seam_cst"):
		return callerClientSession
	case strings.HasPrefix(token, "seam_at"):
		return callerAccessToken
	case strings.HasPrefix(token, "seam_pk"):
		return callerPublishableKey
	case strings.HasPrefix(token, "seam_"):
		return callerAPIKey
	case strings.HasPrefix(token, "ey"):
		return callerConsole
	}
	return 0
}

// callerInWorkspace returns the caller of a credential that is valid in several
// workspaces, so that the request must name one. A credential which is not
// known has the error unknown.
func callerInWorkspace(
	c credential, h http.Header, workspaces map[string][]string, unknown *apiError,
) (caller, *apiError) {
	own, known := workspaces[c.value]
	workspaceID := storedID(headerValue(h, "seam-workspace"))
	switch {
	case !known:
		return caller{}, unknown
	case !slices.Contains(own, workspaceID):
		return caller{}, errWorkspace()
	}
	return caller{kind: c.kind, workspaceID: workspaceID}, nil
}
