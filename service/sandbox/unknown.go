package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The behaviour of the real API in the cases of this file is undocumented, or
// known by inference only. Each function is one assumption with its reason, so
// that a fact that is learnt later changes one place. The files unknown_*.go
// beside it have the assumptions that are not about the sessions themselves.
// Of two equally likely assumptions the stricter is taken, because a sandbox
// that accepts too much hides the bugs of a client.

// storedID is the form in which ids are kept. Assumed: the case of the letters
// in an id does not matter, as in a database column of type uuid.
func storedID(id string) string {
	return strings.ToLower(id)
}

// grantsAnything tells whether a create asks for resources. Assumed: a user
// identity is a resource too, because it opens as much, and an empty list is
// none, because the session stays empty.
func grantsAnything(in input) bool {
	return len(in.texts("connect_webview_ids")) > 0 || len(in.texts("connected_account_ids")) > 0 ||
		userIdentityOf(in) != ""
}

// errKeyExists is the response to a POST create of a key that is in use. The
// type is known. Assumed: the wording, on which no client should depend.
func errKeyExists() *apiError {
	return &apiError{
		status: http.StatusBadRequest, kind: "client_session_token_already_exists",
		message: "A client session with this user_identifier_key already exists",
	}
}

// holderForCreate finds the session that a create or get_or_create with the
// key means. Assumed: an expired session still holds its key, because its
// expiry can be moved, and a revoked one has lost it, because nothing brings it
// back.
func (st *store) holderForCreate(workspaceID, key string) *session {
	s := st.holder(workspaceID, key)
	if s == nil || !s.revokedAt.IsZero() {
		return nil
	}
	return s
}

// holder finds the session that a key names elsewhere. Assumed: the newest one
// that is not revoked, else the newest, because that is whom the key means now.
func (st *store) holder(workspaceID, key string) *session {
	var best *session
	for _, s := range st.byKey[userKey{workspaceID, key}] {
		switch {
		case best == nil:
			best = s
		case s.revokedAt.IsZero() != best.revokedAt.IsZero():
			if s.revokedAt.IsZero() {
				best = s
			}
		case s.sequence > best.sequence:
			best = s
		}
	}
	return best
}

// putExisting is what a PUT create does to the session that holds the key.
// Assumed: nothing. The lists and the expiry stay, because Seam documents that
// it returns the existing session, and no change of it.
func (c *call) putExisting(*session) {}

// updateExisting is what get_or_create does to the session that holds the key.
// Known: lists in the request replace those of the session, and the expiry is
// updated. Assumed: what the request leaves out stays, except that an expired
// session gets a new default lifetime, because the caller needs a session that
// it can use. An empty list replaces too, and a user identity is replaced as a
// list is.
func (c *call) updateExisting(s *session) {
	if c.in.has("connect_webview_ids") {
		s.connectWebviewIDs = grant(nil, c.in.texts("connect_webview_ids"))
	}
	if c.in.has("connected_account_ids") {
		s.connectedAccountIDs = grant(nil, c.in.texts("connected_account_ids"))
	}
	if identity := userIdentityOf(c.in); identity != "" {
		s.userIdentityID = identity
	}
	switch {
	case c.in.has("expires_at"):
		s.expiresAt = expiryOf(c.in)
	case !c.now.Before(s.expiresAt):
		s.expiresAt = c.now.Truncate(time.Millisecond).Add(defaultLifetime())
	}
}

// defaultLifetime is the lifetime of a session without expires_at. Assumed: one
// year. It is undocumented, and a test needs a session that does not expire.
func defaultLifetime() time.Duration {
	return 365 * 24 * time.Hour
}

// userIdentityOf is the user identity in an input. Assumed: the singular form
// overrides the deprecated list, and an empty string is none, because it cannot
// be an id.
func userIdentityOf(in input) string {
	if identity := in.text("user_identity_id"); identity != "" {
		return identity
	}
	for _, identity := range in.texts("user_identity_ids") {
		return identity
	}
	return ""
}

// customerKeyOf is the customer key of a new session. Assumed: customer_id is
// accepted and ignored, because the documented session
// has no member for it.
func customerKeyOf(in input) string {
	return in.text("customer_key")
}

// errNoSelector is the response to a request that names no session. Assumed: the
// status and the type, because the input is incomplete; and the wording.
func errNoSelector() *apiError {
	return errInput("Either client_session_id or user_identifier_key must be provided")
}

// selectForGet finds the session that a get names. Assumed: when the request
// has both selectors, both must match, so that a client that mixes them up gets
// an error.
func (c *call) selectForGet() *session {
	key := c.in.text("user_identifier_key")
	if !c.in.has("client_session_id") {
		return c.store.holder(c.caller.workspaceID, key)
	}
	s := c.store.find(c.caller.workspaceID, c.in.text("client_session_id"))
	if s != nil && c.in.has("user_identifier_key") && s.userIdentifierKey != key {
		return nil
	}
	return s
}

// maySee tells whether the caller may see a session of its workspace. Assumed:
// a client session sees itself only, because its token is handed to a user, and
// all others see also revoked and expired sessions, because they can delete
// them.
func (c *call) maySee(s *session) bool {
	return c.caller.session == nil || c.caller.session == s
}

// selectForGrant finds the session that a grant names. Known: the id selects
// and the key is then associated with that session. Assumed: in place of the
// key it had before. A key that another session holds is refused, so that a key
// names one session. A revoked or expired session can still be granted access,
// because its token stays invalid.
func (c *call) selectForGrant() (*session, *apiError) {
	key := c.in.text("user_identifier_key")
	if !c.in.has("client_session_id") {
		if key == "" {
			return nil, errNoSelector()
		}
		s := c.store.holder(c.caller.workspaceID, key)
		if s == nil {
			return nil, errSessionNotFound()
		}
		return s, nil
	}
	s := c.store.find(c.caller.workspaceID, c.in.text("client_session_id"))
	if s == nil {
		return nil, errSessionNotFound()
	}
	if key != "" && key != s.userIdentifierKey {
		if c.store.holderForCreate(c.caller.workspaceID, key) != nil {
			return nil, errInput("user_identifier_key belongs to another client session")
		}
		c.store.setKey(s, key)
	}
	return s, nil
}

// refuseUnknownResources is where ids of resources that do not exist would be
// refused. Assumed: every id is accepted, because the documented errors have
// none for it.
func (c *call) refuseUnknownResources() *apiError {
	return nil
}

// grantIdentity gives a user identity to a session. Assumed: a session has one
// at most and a new one overwrites it, because its list takes just one.
func (c *call) grantIdentity(s *session) {
	if identity := userIdentityOf(c.in); identity != "" {
		s.userIdentityID = identity
	}
}

// deviceCount is how many devices a session reaches. Assumed: those of its
// connected accounts, because devices come with accounts. Only the seeded
// account has any.
func deviceCount(s *session) int {
	count := 0
	for _, id := range s.connectedAccountIDs {
		if id == ConnectedAccountID {
			count += ConnectedAccountDevices
		}
	}
	return count
}

// revokeSession revokes a session. Assumed: revoking is idempotent and keeps the
// first time, because clients retry.
func (c *call) revokeSession(s *session) *apiError {
	if s.revokedAt.IsZero() {
		s.revokedAt = c.now.Truncate(time.Millisecond)
	}
	return nil
}

// errDeleteMissing is the response to a delete of a session that does not exist.
// Assumed: the same for a deleted session and for one that never existed,
// because nothing is left that distinguishes them.
func errDeleteMissing() *apiError {
	return errSessionNotFound()
}

// listOrder orders a list. Assumed: oldest first, by the time of creation,
// because the order has to be deterministic.
func listOrder(a, b *session) int {
	return cmp.Or(a.createdAt.Compare(b.createdAt), cmp.Compare(a.sequence, b.sequence))
}

// listed tells whether a session passes all filters of a list. Assumed: each filter in the request has to match, false
// is no filter, and an unknown id lists nothing rather than being refused, because its format is undocumented.
func (c *call) listed(s *session) bool {
	in := c.in
	switch {
	case in.has("client_session_id") && s.id != storedID(in.text("client_session_id")):
		return false
	case in.has("user_identifier_key") && s.userIdentifierKey != in.text("user_identifier_key"):
		return false
	case in["without_user_identifier_key"].flag && s.userIdentifierKey != "":
		return false
	case !matches(in, "connect_webview_id", s.connectWebviewIDs):
		return false
	}
	var identities []string
	if s.userIdentityID != "" {
		identities = []string{s.userIdentityID}
	}
	return matches(in, "user_identity_id", identities)
}

// expiryOf reads expires_at, which validation has accepted. Assumed: a time in the past is accepted and the session
// has then expired, and fractions of a millisecond are dropped, because the samples show milliseconds.
func expiryOf(in input) time.Time {
	t, _ := time.Parse(time.RFC3339, in.text("expires_at"))
	return t.Truncate(time.Millisecond)
}

// timestamp formats a time. Known: RFC 3339 with milliseconds or microseconds and any offset. Assumed: milliseconds of
// UTC, as JavaScript writes them and most samples show; when Seam writes another form is not known.
func timestamp(t time.Time) string {
	t = t.UTC()
	return fmt.Sprintf("%s.%03dZ", t.Format("2006-01-02T15:04:05"), t.Nanosecond()/int(time.Millisecond))
}
