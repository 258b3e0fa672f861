package server_test

import (
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// respondWith makes Seam respond to everything with a body.
func (h *harness) respondWith(body string) {
	h.t.Helper()
	fault := sandbox.Fault{Status: http.StatusOK, Body: body, ContentType: "application/json; charset=utf-8"}
	if err := h.sandbox.Inject(fault); err != nil {
		h.t.Fatal(err)
	}
}

// TestUnknownMembers shows that what Seam may add to its responses reaches callers: over REST as Seam wrote it, to the
// byte, and over gRPC in the session's additional members. Offsets, microseconds and ids that are no UUIDs come
// through.
func TestUnknownMembers(t *testing.T) {
	h := start(t)
	const text = ` {"client_session":{"client_session_id":"no uuid","workspace_id":"w","api_key_id":"x","revoked_at":null,` +
		`"created_at":"2026-01-02T03:04:05.123456+02:00","expires_at":"2027-01-02T03:04:05Z","token":"seam_cst1x",` +
		`"publishable_key":{"nested":[1,{"a":null}]},"user_identifier_key":null,"device_count":3.0,"customer_key":"c",` +
		`"connect_webview_ids":["\u00fc"],"connected_account_ids":[],"user_identity_ids":[]}, "ok":true,"warnings":[{"a":1.50}]}`
	h.respondWith(text)
	got, err := h.client().Get(authorized(t), &clientsessionv1.GetRequest{})
	if err != nil {
		t.Fatal(err)
	}
	session := got.GetClientSession()
	want := time.Date(2026, 1, 2, 1, 4, 5, 123456000, time.UTC)
	if session.GetClientSessionId() != "no uuid" || !session.GetCreatedAt().AsTime().Equal(want) ||
		session.GetDeviceCount() != 3 || session.GetCustomerKey() != "c" || session.UserIdentifierKey != nil {
		t.Errorf("gRPC: got %v", session)
	}
	additional := map[string]any{
		"api_key_id": "x", "revoked_at": nil, "publishable_key": map[string]any{"nested": []any{1.0, map[string]any{"a": nil}}},
	}
	if !reflect.DeepEqual(session.GetAdditionalMembers().AsMap(), additional) {
		t.Errorf("gRPC: the additional members are %v", session.GetAdditionalMembers())
	}
	if got := h.send(http.MethodGet, "/client_sessions/get", ""); got.text != text {
		t.Errorf("REST: got  %s\nwant %s", got.text, text)
	}
}

// TestMembersOfOtherTypes shows that a member which no caller acts on does not fail a grant that was made, and that the
// log names it.
func TestMembersOfOtherTypes(t *testing.T) {
	h := start(t)
	const text = `{"client_session":{"client_session_id":"c","token":"t","device_count":"many","created_at":"yesterday",` +
		`"connect_webview_ids":["a",null]},"ok":true}`
	h.respondWith(text)
	got, err := h.client().GrantAccess(authorized(t), grantByID())
	if err != nil || got.GetClientSession().GetToken() != "t" || len(got.GetClientSession().GetConnectWebviewIds()) != 1 {
		t.Errorf("gRPC: got %v, %v", got, err)
	}
	if got := h.grant(byID); got.status != http.StatusOK || got.text != text {
		t.Errorf("REST: got %d %s", got.status, got.text)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	for _, line := range h.log.calls(t) {
		if line["skipped_members"] != "device_count,created_at,connect_webview_ids" {
			t.Errorf("line is %v", line)
		}
	}
}

// TestOddErrors shows that JSON which Seam, or what responds in its place, sends with an error reaches callers over
// REST as it came, and that what is no error of Seam's is none over gRPC.
func TestOddErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status      int
		contentType string
		body        string
		reason      string
		seams       bool
		dropped     bool
	}{
		"of another API": {403, "application/json", `{"message": "Forbidden"}`, "FORBIDDEN", false, false},
		"problem":        {400, "application/problem+json", `{"type":"about:blank","title":"Bad Request"}`, "BAD_REQUEST", false, false},
		"error as text":  {404, "application/json; charset=utf-8", `{"error":"x"}`, "NOT_FOUND", false, false},
		"no type":        {409, "application/json", `{"error":{"message":"m"},"ok":false}`, "CONFLICT", false, false},
		"members of another order, and more": {
			400, "application/json", `{"ok":false,"error":{"message":"m","new":1.50,"data":["x"],"type":"some_error"},"more":{}}`,
			"SOME_ERROR", true, false,
		},
		"envelope as HTML": {404, "text/html", `{"error":{"type":"client_session_not_found","message":"m"},"ok":false}`, "NOT_FOUND", false, true},
		"HTML":             {403, "text/html", `<html>`, "FORBIDDEN", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			if err := h.sandbox.Inject(sandbox.Fault{Status: c.status, Body: c.body, ContentType: c.contentType}); err != nil {
				t.Fatal(err)
			}
			_, err := h.client().GrantAccess(authorized(t), grantByID())
			d := details(t, status.Convert(err))
			if seams := d.info.GetDomain() == "connect.getseam.com"; d.info.GetReason() != c.reason || seams != c.seams {
				t.Errorf("gRPC: got %v", d.info)
			}
			got := h.grant(byID)
			want, contentType := c.body, c.contentType
			if c.dropped {
				want, contentType = "", ""
			}
			if got.status != c.status || got.text != want || got.header.Get("Content-Type") != contentType {
				t.Errorf("REST: got %d %s %s", got.status, got.header.Get("Content-Type"), got.text)
			}
		})
	}
}

// TestLongList shows that sessions of more than 4 MiB, which gRPC takes by default, come through both faces. A gRPC
// client has to allow for them.
func TestLongList(t *testing.T) {
	t.Parallel()
	const count = 1000
	h := start(t)
	sessions, long := make([]string, count), strings.Repeat("k", 4000)
	for i := range sessions {
		sessions[i] = fmt.Sprintf(`{"client_session_id":"%08d-0000-4000-8000-000000000000","workspace_id":"w",`+
			`"created_at":"2026-01-02T03:04:05.000Z","expires_at":"2027-01-02T03:04:05.000Z","token":"seam_cst1_%040d",`+
			`"user_identifier_key":"user %d","customer_key":"%s","device_count":1,"connect_webview_ids":["%036d"],"connected_account_ids":["%036d"],`+
			`"user_identity_ids":["%036d"],"user_identity_id":"%036d"}`, i, i, i, long, i, i, i, i)
	}
	text := `{"client_sessions":[` + strings.Join(sessions, ",") + `],"ok":true}`
	h.respondWith(text)
	got, err := h.client().List(authorized(t), &clientsessionv1.ListRequest{}, grpc.MaxCallRecvMsgSize(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.GetClientSessions()); n != count {
		t.Errorf("gRPC: %d sessions", n)
	}
	response := h.send(http.MethodGet, "/client_sessions/list", "")
	if response.status != http.StatusOK || len(response.text) != len(text) || response.text != text {
		t.Errorf("REST: %d, %d bytes, want the %d bytes that Seam sent", response.status, len(response.text), len(text))
	}
}
