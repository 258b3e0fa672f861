package sandbox

import (
	"net/http"
	"slices"
	"time"
)

// call is one request that passed all checks. Its methods are the endpoints.
type call struct {
	store        *store
	caller       caller
	method       string
	in           input
	now          time.Time
	extraMembers bool
}

type sessionResponse struct {
	ClientSession sessionJSON `json:"client_session"`
	OK            bool        `json:"ok"`
}

type listResponse struct {
	ClientSessions []sessionJSON `json:"client_sessions"`
	OK             bool          `json:"ok"`
}

func (c *call) respond(s *session) (any, *apiError) {
	return sessionResponse{ClientSession: s.toJSON(c.extraMembers), OK: true}, nil
}

func (c *call) create() (any, *apiError) {
	if err := c.refuseFilledLists(); err != nil {
		return nil, err
	}
	existing := c.store.holderForCreate(c.caller.workspaceID, c.in.text("user_identifier_key"))
	switch {
	case existing == nil:
		return c.respond(c.newSession())
	case c.method == http.MethodPut:
		c.putExisting(existing)
		return c.respond(existing)
	default:
		return nil, errKeyExists()
	}
}

func (c *call) getOrCreate() (any, *apiError) {
	if err := c.refuseFilledLists(); err != nil {
		return nil, err
	}
	existing := c.store.holderForCreate(c.caller.workspaceID, c.in.text("user_identifier_key"))
	if existing == nil {
		return c.respond(c.newSession())
	}
	c.updateExisting(existing)
	return c.respond(existing)
}

// refuseFilledLists keeps a publishable key, which is public, from granting
// anything to itself.
func (c *call) refuseFilledLists() *apiError {
	if c.caller.kind != callerPublishableKey || !grantsAnything(c.in) {
		return nil
	}
	return errMustBeEmpty()
}

func (c *call) newSession() *session {
	s := &session{
		id:                  c.store.newID(),
		token:               c.store.newToken(),
		workspaceID:         c.caller.workspaceID,
		userIdentifierKey:   c.in.text("user_identifier_key"),
		connectWebviewIDs:   grant(nil, c.in.texts("connect_webview_ids")),
		connectedAccountIDs: grant(nil, c.in.texts("connected_account_ids")),
		userIdentityID:      userIdentityOf(c.in),
		customerKey:         customerKeyOf(c.in),
		createdAt:           c.now.Truncate(time.Millisecond),
		apiKeyID:            c.caller.apiKeyID,
		publishableKey:      c.caller.publishable,
	}
	s.expiresAt = s.createdAt.Add(defaultLifetime())
	if c.in.has("expires_at") {
		s.expiresAt = expiryOf(c.in)
	}
	c.store.add(s)
	return s
}

func (c *call) get() (any, *apiError) {
	if !c.in.has("client_session_id") && !c.in.has("user_identifier_key") {
		if c.caller.session == nil {
			return nil, errNoSelector()
		}
		return c.respond(c.caller.session)
	}
	s := c.selectForGet()
	if s == nil || !c.maySee(s) {
		return nil, errSessionNotFound()
	}
	return c.respond(s)
}

func (c *call) list() (any, *apiError) {
	sessions := slices.DeleteFunc(c.store.all(c.caller.workspaceID), func(s *session) bool { return !c.listed(s) })
	list := make([]sessionJSON, len(sessions))
	for i, s := range sessions {
		list[i] = s.toJSON(c.extraMembers)
	}
	return listResponse{ClientSessions: list, OK: true}, nil
}

// matches applies a filter whose null asks for sessions that have none.
func matches(in input, name string, have []string) bool {
	switch in[name].kind {
	case "":
		return true
	case kindNull:
		return len(have) == 0
	default:
		return slices.Contains(have, in.text(name))
	}
}

func (c *call) grantAccess() (any, *apiError) {
	s, err := c.selectForGrant()
	if err != nil {
		return nil, err
	}
	if err := c.refuseUnknownResources(); err != nil {
		return nil, err
	}
	s.connectWebviewIDs = grant(s.connectWebviewIDs, c.in.texts("connect_webview_ids"))
	s.connectedAccountIDs = grant(s.connectedAccountIDs, c.in.texts("connected_account_ids"))
	c.grantIdentity(s)
	return c.respond(s)
}

func (c *call) revoke() (any, *apiError) {
	s := c.store.find(c.caller.workspaceID, c.in.text("client_session_id"))
	if s == nil {
		return nil, errSessionNotFound()
	}
	return okJSON{OK: true}, c.revokeSession(s)
}

func (c *call) remove() (any, *apiError) {
	s := c.store.find(c.caller.workspaceID, c.in.text("client_session_id"))
	if s == nil {
		return nil, errDeleteMissing()
	}
	c.store.remove(s)
	return okJSON{OK: true}, nil
}
