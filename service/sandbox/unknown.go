package sandbox

import (
	"cmp"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// This file is the table of the sandbox's guesses. Each entry asks what no document of Seam's answers, and says what is
// assumed and why. Of two equally likely assumptions the stricter is taken, because a sandbox that accepts too much
// hides the bugs of a client. Seam's fake is the fake of its API that Seam publishes.
//
// An entry below is a value or a function with its question above it. Those that are about one detail of a function
// that otherwise does what is known are listed first, with the name of that function. A guess is changed there alone.
//
// Credentials:
//
//   - Sandbox.respond: what is checked first? Assumed: the credential, then the method, then the input, as in Seam's
//     fake.
//   - offeredCredential: which credential counts? Assumed: the first in its order, with the exact "Bearer ", as in
//     Seam's fake, although HTTP lets a scheme be in lower case. The fake looks for a client session token first where
//     one may call, and skips an invalid credential for the next, which would hide the mistake.
//   - headerValue: which of several values of a header counts? Known: no empty one. Assumed: the others are one list,
//     as HTTP says, and so an unknown credential.
//   - store.authenticate: may a workspace header name another workspace than that of the API key? Assumed: it is
//     ignored, because SDKs send that header with every credential.
//   - withUserIdentifier: whose key counts when the body and a header have one? Assumed: that of the body, as for all
//     parameters. A blank key in the body is none, as in Seam's fake.
//
// Input:
//
//   - Sandbox.ServeHTTP: what is a path with escapes? Assumed: an unknown path, as in Seam's fake, because no path of
//     Seam's has anything to escape.
//   - decodeBody: what is a request without a body? Known: an empty object where the content type is that of a form.
//     Assumed: also with any other, because SDKs differ in the content type that they send then. Seam's fake refuses
//     a create without a type.
//   - parseObject: which of two members of one name counts? Assumed: the body is invalid. Seam's fake takes the
//     last one, as parsers in JavaScript do, and a client that relies on that is ambiguous.
//   - decodeQuery: what does _strict do? Known: the SDKs end each query with _strict=true. Assumed: nothing, with any
//     value and in any place, because it has no visible effect.
//   - decodeQuery: what becomes of a parameter that the endpoint does not have, or has in its body only? Assumed: it is
//     refused, as an unknown member of a body is, because a misplaced one should not go unnoticed.
//   - decodeQuery: may a parameter be repeated that is no list? Known: no. Assumed: not where the body has it either.
//     Seam's fake says invalid_input.
//   - queryValue: what does `name=` mean? Known: null. Assumed: the empty list for a list, as the SDKs write it, and
//     the empty string where null is not allowed, which most of those parameters refuse too. The parser that Seam
//     publishes reads null there as well, so Seam's message may differ.
//   - queryValue: does a comma separate ids? Assumed: no, because no SDK separates by it. The library that Seam's
//     servers use can.
//   - validate: are unknown members of a body refused? Assumed: yes, because that helps the author of a client most.
//     Seam's fake drops them.
//
// Sessions:
//
//   - call.create: what does a PUT change in the session that holds the key? Assumed: nothing, because Seam documents
//     that it returns the existing session, and no change of it.
//   - call.newSession: what does customer_id do? Assumed: nothing, because the documented session has no member for it.
//   - call.grantAccess: is an id refused that no resource has, or a session that is revoked or has expired? Assumed:
//     neither, because no documented error is about such an id, and the token of such a session stays invalid.
//   - call.remove: does a deleted session differ from one that never was? Assumed: no, because nothing is left of it.
//
// Errors. Known is the wording of those about an API key or an access token that is not known, a session that is not
// found (404), a content type other than JSON, and what is said to be known below. That of all others is assumed, and
// no client should depend on it: Seam's fake has other words.
//
//   - errMayNotCall: what does it mean? The text is known. Assumed: no credential, one of an unknown form, and one that
//     may not call the endpoint, because it says that each method was tried. An unknown JWT has no documented error of
//     its own, and so it gets this one. Seam's fake has types that no document names, such as
//     publishable_key_header_required for a create without a credential.
//   - errWorkspace: what does it mean? Assumed: a personal access token or a JWT without a workspace, or with one that
//     it is not for, because it is the one documented error about workspaces. Seam's fake has a missing_workspace_id
//     with status 400 for the first, which no document names. An unknown publishable key gets it, as in Seam's fake.
//   - withUserIdentifier: when is it an error that there is no user? Assumed: before validation, because the status
//     says that it is about the credential.
//   - call.named: what is the error for no selector? Assumed: that of invalid input, because the input is incomplete.
//   - errInvalidJSON: what is its type? Assumed: that of invalid input, because no documented type fits better. Seam's
//     fake responds with a text.
//   - decodeBody: what is the response to a body above the limit? Assumed: all of it, the limit included.
//   - errQuery, errUnknownPath: what is their type? Known: the status. Assumed: the type. Seam's fake responds to an
//     unknown path with a text.
//   - Fault.apply: what is the type for too many requests? Assumed: too_many_requests. Rate limits are documented for
//     devices only.

// What is said of an invalid value? Known: "Required". Assumed: the others are in the words of the library whose tree
// of errors Seam sends, in the version that says "Required". The last has those of Seam's Python SDK where an endpoint
// needs any one parameter. It is about no field, so it names none.
const (
	msgRequired       = "Required"
	msgEmpty          = "String must contain at least 1 character(s)"
	msgNotOne         = "Array must contain exactly 1 element(s)"
	msgNotUUID        = "Invalid uuid"
	msgNotDatetime    = "Invalid datetime"
	msgWrongKind      = "Expected %s, received %s"
	msgUnknownMembers = "Unrecognized key(s) in object: '%s'"
	msgNoParameter    = "At least one parameter must be provided"
)

// Does a grant of an empty list have the one parameter that it needs? Assumed: no, because it grants nothing and names
// no session.
func needsAnyParameter(in input) []violation {
	for _, v := range in {
		if v.kind != kindArray || len(v.items) > 0 {
			return nil
		}
	}
	return []violation{{msg: msgNoParameter}}
}

// Which times are valid? Known: a date-time of RFC 3339. Assumed: in capital letters, without a leap second and with
// any number of digits, because that is what parsers agree on, and of the years 1 to 9999 in UTC, because a response
// could not write another one: a year of RFC 3339 has four digits, and PostgreSQL has no year 0. The pattern refuses
// what else Go's parser takes: hours of one digit and a comma before the fraction.
func isDatetime(text string) bool {
	t, err := time.Parse(time.RFC3339, text)
	year := t.UTC().Year()
	return err == nil && datetimeShape.MatchString(text) && year >= 1 && year <= 9999
}

var datetimeShape = regexp.MustCompile(
	`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// Which content types are that of JSON? Assumed: the exact media type, for every method. The library that Seam's
// servers use requires it for POST and PATCH only, and as a part of the header.
func isJSON(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}

// How does a 405 list the methods? Known: the text for create. Assumed: the same for others, in alphabetical order, and
// with the header Allow, which HTTP requires.
func methodNotAllowed(methods []string) response {
	res := errorResponse(newError(http.StatusMethodNotAllowed, "method_not_allowed",
		"only "+strings.Join(methods, ",")+" accepted"))
	res.allow = strings.Join(methods, ", ")
	return res
}

// What does a preflight allow? Assumed: all methods on each path, with status 200, as in Seam's fake, and each header
// that it asks for, because the fake's fixed list leaves out headers that the SDKs send. It has no
// Access-Control-Max-Age. An OPTIONS that is no preflight is a method like any other, although not to the fake.
func respondToPreflight(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	if requested := r.Header.Get("Access-Control-Request-Headers"); requested != "" {
		w.Header().Set("Access-Control-Allow-Headers", requested)
	}
	w.WriteHeader(http.StatusOK)
}

// Which headers of a response may a page read? Assumed: the request id, because a user of an SDK quotes it to Seam's
// support, and Retry-After, because the SDK waits for it. Seam's fake exposes none.
const exposedHeaders = "seam-request-id, retry-after"

// Is the token of a session that is revoked and has expired a revoked one? Assumed: yes, because revoking is
// deliberate. The types are known.
func errOfToken(s *session, now time.Time) *apiError {
	switch {
	case s == nil:
		return newError(http.StatusUnauthorized, "client_session_not_found", "Client session not found")
	case !s.revokedAt.IsZero():
		return newError(http.StatusUnauthorized, "client_session_revoked", "Client session revoked")
	case !now.Before(s.expiresAt):
		return newError(http.StatusUnauthorized, "client_session_expired", "Client session expired")
	}
	return nil
}

// Which resources may a publishable key not ask for? Assumed: not even an empty list, as in Seam's fake, and a user
// identity neither, because it opens as much.
func grantsAnything(in input) bool {
	return in.has("connect_webview_ids") || in.has("connected_account_ids") || identityOf(in) != ""
}

// Does the case of the letters in an id matter? Assumed: no, as in a database column of type uuid.
func storedID(id string) string {
	return strings.ToLower(id)
}

// Which user identity does an input name? Assumed: the singular form overrides the deprecated list, and an empty string
// is none, because it cannot be an id.
func identityOf(in input) string {
	return cmp.Or(in.text("user_identity_id"), cmp.Or(in.texts("user_identity_ids")...))
}

// How long does a session live without expires_at? Assumed: one year, because a test needs one that does not expire.
const defaultLifetime = 365 * 24 * time.Hour

// May expires_at be in the past, and how exact is it? Assumed: the session has then expired, and fractions of a
// millisecond are dropped, because the samples show milliseconds. Validation has accepted the text.
func expiryOf(in input) time.Time {
	t, _ := time.Parse(time.RFC3339, in.text("expires_at"))
	return t.Truncate(time.Millisecond)
}

// How is a time written? Known: RFC 3339 with milliseconds or microseconds and any offset. Assumed: milliseconds of
// UTC, as JavaScript writes them and most samples show.
func timestamp(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// Which session does a key name? Assumed: the newest one that is not revoked, else the newest, because that is whom the
// key means now.
func (st *store) holder(workspaceID, key string) *session {
	var best *session
	for _, s := range st.byKey[userKey{workspaceID, key}] {
		sameState := best != nil && s.revokedAt.IsZero() == best.revokedAt.IsZero()
		if best == nil || sameState && s.sequence > best.sequence || !sameState && s.revokedAt.IsZero() {
			best = s
		}
	}
	return best
}

// Which session keeps others from its key? Assumed: an expired one too, because its expiry can be moved, but no revoked
// one, because nothing brings it back.
func (st *store) owner(workspaceID, key string) *session {
	if s := st.holder(workspaceID, key); s != nil && s.revokedAt.IsZero() {
		return s
	}
	return nil
}

// What does get_or_create change in the session that holds its key? Known: lists in the request replace those of the
// session, and the expiry is updated. Assumed: what the request leaves out stays, and an empty list replaces too. A
// session that has expired, or is new, gets the default lifetime, because the caller needs one that it can use.
func (c *call) update(s *session) {
	if c.in.has("connect_webview_ids") {
		s.connectWebviewIDs = grant(nil, c.in.texts("connect_webview_ids"))
	}
	if c.in.has("connected_account_ids") {
		s.connectedAccountIDs = grant(nil, c.in.texts("connected_account_ids"))
	}
	c.grantIdentity(s)
	switch {
	case c.in.has("expires_at"):
		s.expiresAt = expiryOf(c.in)
	case !c.now.Before(s.expiresAt):
		s.expiresAt = c.now.Add(defaultLifetime)
	}
}

// What does a user identity do to the one that a session has? Assumed: it overwrites it, because a session's list is
// of one at most, as a request's is.
func (c *call) grantIdentity(s *session) {
	s.userIdentityID = cmp.Or(identityOf(c.in), s.userIdentityID)
}

// What does the key do in a grant that names the session by its id? Known: it is then associated with that session.
// Assumed: in place of the key it had before, and unless another session has it, because a key names one session.
func (c *call) grantKey(s *session) *apiError {
	key := c.in.text("user_identifier_key")
	if key == "" || key == s.userIdentifierKey {
		return nil
	}
	if c.store.owner(c.caller.workspaceID, key) != nil {
		return errInput("user_identifier_key belongs to another client session")
	}
	c.store.setKey(s, key)
	return nil
}

// Which session does a get return? Assumed, as in Seam's fake: none without a selector, and an error for a client
// session that sends both. In two things the fake is laxer, which would hide the mistake of a client. It returns a
// client session itself, whatever one selector says. And with both selectors it returns to others the first session
// that either matches, where here both have to match. Others get also revoked and expired sessions, because they can
// delete them.
func (c *call) selected() (*session, *apiError) {
	byID, byKey, own := c.in.has("client_session_id"), c.in.has("user_identifier_key"), c.caller.session
	switch {
	case own != nil && byID && byKey:
		return nil, newError(http.StatusBadRequest, "invalid_options", "Cannot send client_session_id or "+
			"user_identifier_key params when using a client session token")
	case own != nil && !byID && !byKey:
		return own, nil
	case !byID && !byKey:
		return nil, errSessionNotFound()
	}
	s, err := c.named()
	if err == nil && (own != nil && own != s || byKey && c.in.text("user_identifier_key") != s.userIdentifierKey) {
		return nil, errSessionNotFound()
	}
	return s, err
}

// Which sessions does a list have? Assumed: those that match each filter in the request, where false is no filter. An
// unknown id matches none rather than being refused, because its format is undocumented.
func (c *call) listed(s *session) bool {
	in := c.in
	return (!in.has("client_session_id") || storedID(in.text("client_session_id")) == s.id) &&
		(!in.has("user_identifier_key") || in.text("user_identifier_key") == s.userIdentifierKey) &&
		(!in["without_user_identifier_key"].flag || s.userIdentifierKey == "") &&
		matches(in, "connect_webview_id", s.connectWebviewIDs) && matches(in, "user_identity_id", s.identities())
}

// How is a list ordered? Assumed: oldest first, because the order has to be deterministic.
func listOrder(a, b *session) int {
	return cmp.Or(a.createdAt.Compare(b.createdAt), cmp.Compare(a.sequence, b.sequence))
}

// What does a second revoke do? Assumed: nothing, and the first time stays, because clients retry.
func (c *call) revokeSession(s *session) {
	if s.revokedAt.IsZero() {
		s.revokedAt = c.now
	}
}

// How many devices does a session reach? Assumed: those of its connected accounts, because devices come with accounts.
// Only the seeded account has any.
func deviceCount(s *session) int {
	if slices.Contains(s.connectedAccountIDs, ConnectedAccountID) {
		return ConnectedAccountDevices
	}
	return 0
}
