package sandbox

import (
	"net/http"
	"slices"
	"time"
)

// call is one request that passed all checks. Its methods are the endpoints.
type call struct {
	store  *store
	caller caller
	method string
	in     input
	now    time.Time // now is in whole milliseconds, as all times of a session are.
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
	return sessionResponse{ClientSession: s.toJSON(), OK: true}, nil
}

func (c *call) create() (any, *apiError) {
	existing, err := c.existing()
	switch {
	case err != nil:
		return nil, err
	case existing == nil:
		return c.respond(c.newSession())
	case c.method == http.MethodPut:
		return c.respond(existing)
	}
	return nil, newError(http.StatusBadRequest, "client_session_token_already_exists",
		"A client session with this user_identifier_key already exists")
}

func (c *call) getOrCreate() (any, *apiError) {
	existing, err := c.existing()
	switch {
	case err != nil:
		return nil, err
	case existing == nil:
		return c.respond(c.newSession())
	}
	c.update(existing)
	return c.respond(existing)
}

// existing finds the session that a create would make a second time. It keeps
// a publishable key, which is public, from granting anything to itself.
func (c *call) existing() (*session, *apiError) {
	if c.caller.kind == callerPublishableKey && grantsAnything(c.in) {
		return nil, newError(http.StatusForbidden, "publishable_keys_must_create_empty_client_sessions",
			"Publishable keys must create empty client sessions")
	}
	return c.store.owner(c.caller.workspaceID, c.in.text("user_identifier_key")), nil
}

func (c *call) newSession() *session {
	s := &session{
		id:                c.store.newID(),
		token:             c.store.newToken(),
		workspaceID:       c.caller.workspaceID,
		userIdentifierKey: c.in.text("user_identifier_key"),
		customerKey:       c.in.text("customer_key"),
		createdAt:         c.now,
	}
	c.update(s)
	c.store.add(s)
	return s
}

// named finds the session that the request names, by its id or else its key.
func (c *call) named() (*session, *apiError) {
	var s *session
	switch {
	case c.in.has("client_session_id"):
		s = c.store.find(c.caller.workspaceID, c.in.text("client_session_id"))
	case c.in.has("user_identifier_key"):
		s = c.store.holder(c.caller.workspaceID, c.in.text("user_identifier_key"))
	default:
		return nil, errInput("Either client_session_id or user_identifier_key must be provided")
	}
	if s == nil {
		return nil, errSessionNotFound()
	}
	return s, nil
}

func (c *call) get() (any, *apiError) {
	s, err := c.selected()
	if err != nil {
		return nil, err
	}
	return c.respond(s)
}

func (c *call) list() (any, *apiError) {
	sessions := slices.DeleteFunc(c.store.all(c.caller.workspaceID), func(s *session) bool { return !c.listed(s) })
	list := make([]sessionJSON, len(sessions))
	for i, s := range sessions {
		list[i] = s.toJSON()
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
	s, err := c.named()
	if err != nil {
		return nil, err
	}
	if err := c.grantKey(s); err != nil {
		return nil, err
	}
	s.connectWebviewIDs = grant(s.connectWebviewIDs, c.in.texts("connect_webview_ids"))
	s.connectedAccountIDs = grant(s.connectedAccountIDs, c.in.texts("connected_account_ids"))
	c.grantIdentity(s)
	return c.respond(s)
}

func (c *call) revoke() (any, *apiError) {
	s, err := c.named()
	if err != nil {
		return nil, err
	}
	c.revokeSession(s)
	return okJSON{OK: true}, nil
}

func (c *call) remove() (any, *apiError) {
	s, err := c.named()
	if err != nil {
		return nil, err
	}
	c.store.remove(s)
	return okJSON{OK: true}, nil
}
