package sandbox

import (
	"cmp"
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
		workspaceID, known := st.apiKeys[c.value]
		if !known {
			return caller{}, errUnauthorized("API Key not found")
		}
		return caller{kind: c.kind, workspaceID: workspaceID}, nil
	case callerAccessToken:
		return callerInWorkspace(c, h, st.accessTokens, errUnauthorized("Access token not found"))
	case callerConsole:
		return callerInWorkspace(c, h, st.consoleTokens, errMayNotCall())
	case callerClientSession:
		s := st.byToken[c.value]
		if err := errOfToken(s, now); err != nil {
			return caller{}, err
		}
		return caller{kind: c.kind, workspaceID: s.workspaceID, session: s}, nil
	default:
		workspaceID, known := st.publishableKeys[c.value]
		if !known {
			return caller{}, errWorkspace()
		}
		return caller{kind: c.kind, workspaceID: workspaceID}, nil
	}
}

// offeredCredential picks the credential of a request. The zero credential
// means that there is none, or one that is not of the form that its header
// requires.
func offeredCredential(h http.Header) credential {
	if value := headerValue(h, "Authorization"); value != "" {
		token, isBearer := strings.CutPrefix(value, "Bearer ")
		if !isBearer {
			return credential{}
		}
		return credentialOf(token, ^callerPublishableKey)
	}
	token := cmp.Or(headerValue(h, "client-session-token"), headerValue(h, "seam-client-session-token"))
	if token != "" {
		return credentialOf(token, callerClientSession)
	}
	return credentialOf(headerValue(h, "seam-publishable-key"), callerPublishableKey)
}

// headerValue is the value of a header, with a comma between several.
func headerValue(h http.Header, name string) string {
	var values []string
	for _, v := range h.Values(name) {
		if v = strings.TrimSpace(v); v != "" {
			values = append(values, v)
		}
	}
	return strings.Join(values, ", ")
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

// withUserIdentifier completes the body of a caller with a publishable key,
// which must name its user in the body or in a header.
func withUserIdentifier(root value, h http.Header) (value, *apiError) {
	const name = "user_identifier_key"
	at := slices.IndexFunc(root.members, func(m member) bool { return m.name == name })
	if root.kind != kindObject || at >= 0 && !root.members[at].value.isBlank() {
		return root, nil
	}
	key := cmp.Or(headerValue(h, "seam-user-identifier-key"), headerValue(h, "user-identifier-key"))
	if at >= 0 || key == "" {
		return value{}, newError(http.StatusUnauthorized, "publishable_key_requires_user_identifier_key",
			"A publishable key requires a user_identifier_key")
	}
	root.members = append(root.members, member{name, textValue(key)})
	return root, nil
}
