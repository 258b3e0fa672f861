package server_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// grantCase is a grant that is made, over both faces, with the session that both must respond with.
type grantCase struct {
	name    string
	method  string
	body    string
	message *clientsessionv1.GrantAccessRequest
	// What the response's session has.
	id                         string
	key, identity              *string
	webviews, accounts, people []string
}

func grantCases() []grantCase {
	main := []string{sandbox.ConnectedAccountID}
	return []grantCase{
		{
			name: "by id", method: http.MethodPost, body: byID, message: grantByID(),
			id: sandbox.SessionID, key: new(sandbox.UserIdentifierKey), accounts: main,
		},
		{
			name: "by id with PATCH", method: http.MethodPatch, body: byID, message: grantByID(),
			id: sandbox.SessionID, key: new(sandbox.UserIdentifierKey), accounts: main,
		},
		{
			name: "by key, everything", method: http.MethodPost,
			body: `{"user_identifier_key":"jane_doe","connected_account_ids":["` + sandbox.ConnectedAccountID + `"],` +
				`"connect_webview_ids":["` + sandbox.ConnectWebviewID + `"],"user_identity_id":"` + sandbox.UserIdentityID + `"}`,
			message: &clientsessionv1.GrantAccessRequest{
				UserIdentifierKey:   new("jane_doe"),
				ConnectedAccountIds: main,
				ConnectWebviewIds:   []string{sandbox.ConnectWebviewID},
				UserIdentityId:      new(sandbox.UserIdentityID),
			},
			id: sandbox.SessionID, key: new(sandbox.UserIdentifierKey), identity: new(sandbox.UserIdentityID),
			accounts: main, webviews: []string{sandbox.ConnectWebviewID}, people: []string{sandbox.UserIdentityID},
		},
		{
			name: "deprecated user_identity_ids", method: http.MethodPost,
			body: `{"client_session_id":"` + sandbox.SessionID + `","user_identity_ids":["` + sandbox.UserIdentityID + `"]}`,
			message: &clientsessionv1.GrantAccessRequest{
				ClientSessionId: new(sandbox.SessionID), UserIdentityIds: []string{sandbox.UserIdentityID},
			},
			id: sandbox.SessionID, key: new(sandbox.UserIdentifierKey),
			identity: new(sandbox.UserIdentityID), people: []string{sandbox.UserIdentityID},
		},
		{
			name: "a session without a key, ids that are no UUIDs", method: http.MethodPost,
			body: `{"client_session_id":"` + sandbox.KeylessSessionID + `","connect_webview_ids":["ü \"quoted\" \\ "]}`,
			message: &clientsessionv1.GrantAccessRequest{
				ClientSessionId: new(sandbox.KeylessSessionID), ConnectWebviewIds: []string{`ü "quoted" \ `},
			},
			id: sandbox.KeylessSessionID, webviews: []string{`ü "quoted" \ `},
		},
	}
}

func TestGrantsOverGRPC(t *testing.T) {
	t.Parallel()
	for _, c := range grantCases() {
		t.Run(c.name, func(t *testing.T) {
			h := start(t)
			var header metadata.MD
			got, err := h.client().GrantAccess(authorized(t), c.message, grpc.Header(&header))
			if err != nil {
				t.Fatal(err)
			}
			session := got.GetClientSession()
			if !got.GetOk() || session.GetClientSessionId() != c.id || session.GetWorkspaceId() != sandbox.WorkspaceID {
				t.Errorf("got %v", got)
			}
			if !equal(session.UserIdentifierKey, c.key) || !equal(session.UserIdentityId, c.identity) ||
				session.CustomerKey != nil {
				t.Errorf("key %v, identity %v, customer %v: want %v, %v, none",
					session.UserIdentifierKey, session.UserIdentityId, session.CustomerKey, c.key, c.identity)
			}
			if !slices.Equal(session.GetConnectWebviewIds(), c.webviews) ||
				!slices.Equal(session.GetConnectedAccountIds(), c.accounts) ||
				!slices.Equal(session.GetUserIdentityIds(), c.people) {
				t.Errorf("got %v", session)
			}
			if session.GetToken() == "" || session.GetCreatedAt().AsTime().After(time.Now()) ||
				!session.GetExpiresAt().AsTime().After(time.Now()) {
				t.Errorf("token, created_at or expires_at of %v", session)
			}
			checkRequestID(t, h, header.Get("seam-request-id"))
		})
	}
}

func TestGrantsOverREST(t *testing.T) {
	t.Parallel()
	for _, c := range grantCases() {
		t.Run(c.name, func(t *testing.T) {
			h := start(t)
			got := h.send(c.method, grantPath, c.body)
			if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
				t.Fatalf("got %d %s", got.status, got.text)
			}
			members := got.members(t)
			session, _ := members["client_session"].(map[string]any)
			if members["ok"] != true || len(members) != 2 {
				t.Errorf("got %v", members)
			}
			want := map[string]any{
				"client_session_id": c.id, "workspace_id": sandbox.WorkspaceID,
				"user_identifier_key": nil, "device_count": float64(sandbox.ConnectedAccountDevices * len(c.accounts)),
				"connect_webview_ids": list(c.webviews), "connected_account_ids": list(c.accounts),
				"user_identity_ids": list(c.people),
			}
			if c.key != nil {
				want["user_identifier_key"] = *c.key
			}
			if c.identity != nil {
				want["user_identity_id"] = *c.identity
			}
			for _, name := range []string{"token", "created_at", "expires_at"} {
				want[name] = session[name]
				if session[name] == nil {
					t.Errorf("no %s", name)
				}
			}
			if !maps.EqualFunc(session, want, sameJSON) {
				t.Errorf("got  %v\nwant %v", session, want)
			}
			checkRequestID(t, h, got.header.Values("Seam-Request-Id"))
		})
	}
}

// TestGrantSentTwice shows that a grant can be retried: the second response is the first.
func TestGrantSentTwice(t *testing.T) {
	h := start(t)
	first, second := h.grant(byID), h.grant(byID)
	if first.status != http.StatusOK || first.text != second.text {
		t.Errorf("first  %s\nsecond %s", first.text, second.text)
	}
}

// TestResponseWithoutSession shows what a caller gets when Seam makes the grant and does not send the session.
func TestResponseWithoutSession(t *testing.T) {
	for body, want := range map[string]string{`{}`: `{}`, `{"ok":true}`: `{"ok":true}`, ``: `{"ok":true}`} {
		t.Run(body, func(t *testing.T) {
			h := start(t)
			fault := sandbox.Fault{Status: http.StatusOK, Body: body, ContentType: "application/json"}
			if body == "" {
				fault.Status = http.StatusNoContent
			}
			if err := h.sandbox.Inject(fault); err != nil {
				t.Fatal(err)
			}
			got, err := h.client().GrantAccess(authorized(t), grantByID())
			if err != nil || !got.GetOk() || got.ClientSession != nil { //nolint:protogetter // Presence.
				t.Errorf("gRPC: got %v, %v", got, err)
			}
			if got := h.grant(byID); got.status != http.StatusOK || got.text != want {
				t.Errorf("REST: got %d %s", got.status, got.text)
			}
		})
	}
}

// checkRequestID makes sure that a response names the request as Seam named it: the log has the same id.
func checkRequestID(t *testing.T, h *harness, got []string) {
	t.Helper()
	if err := h.stop(); err != nil { // The line of a call is written after its response.
		t.Error(err)
	}
	calls := h.log.calls(t)
	if len(calls) != 1 || len(got) != 1 || got[0] != calls[0]["seam_request_id"] {
		t.Errorf("seam-request-id is %q, the log has %v", got, calls)
	}
}

func equal(a, b *string) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

func list(texts []string) []any {
	values := []any{}
	for _, text := range texts {
		values = append(values, text)
	}
	return values
}

func sameJSON(a, b any) bool {
	x, okX := a.([]any)
	y, okY := b.([]any)
	if okX && okY {
		return slices.Equal(x, y)
	}
	return a == b
}
