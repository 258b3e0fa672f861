package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/service/service/config"
	"github.com/clientsession/service/service/sandbox"
)

// answerWith makes Seam answer everything with a body.
func (h *harness) answerWith(body string) {
	h.t.Helper()
	fault := sandbox.Fault{Status: http.StatusOK, Body: body, ContentType: "application/json; charset=utf-8"}
	if err := h.sandbox.Inject(fault); err != nil {
		h.t.Fatal(err)
	}
}

// TestUnknownMembers shows that what Seam may add to its answers does no harm, and that what is documented comes
// through: offsets, microseconds, ids that are no UUIDs.
func TestUnknownMembers(t *testing.T) {
	h := start(t)
	h.answerWith(`{"client_session":{"client_session_id":"no uuid","workspace_id":"w","api_key_id":"x","revoked_at":null,` +
		`"created_at":"2026-01-02T03:04:05.123456+02:00","expires_at":"2027-01-02T03:04:05Z","token":"seam_cst1x",` +
		`"publishable_key":{"nested":[1,{"a":null}]},"user_identifier_key":null,"device_count":3.0,"customer_key":"c",` +
		`"connect_webview_ids":["ü"],"connected_account_ids":[],"user_identity_ids":[]},"ok":true,"batch":{}}`)
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
	const text = `{"client_session":{"client_session_id":"no uuid","workspace_id":"w",` +
		`"created_at":"2026-01-02T01:04:05.123456Z","expires_at":"2027-01-02T03:04:05.000Z","token":"seam_cst1x",` +
		`"user_identifier_key":null,"device_count":3,"connect_webview_ids":["ü"],"connected_account_ids":[],` +
		`"user_identity_ids":[],"customer_key":"c"},"ok":true}`
	if got := h.send(http.MethodGet, "/client_sessions/get", ""); got.text != text {
		t.Errorf("REST: got  %s\nwant %s", got.text, text)
	}
}

// TestLongList shows that 10,000 sessions come through both faces. A gRPC client has to allow for them.
func TestLongList(t *testing.T) {
	const count = 10_000
	h := start(t)
	sessions := make([]string, count)
	for i := range sessions {
		sessions[i] = fmt.Sprintf(`{"client_session_id":"%08d-0000-4000-8000-000000000000","workspace_id":"w",`+
			`"created_at":"2026-01-02T03:04:05.000Z","expires_at":"2027-01-02T03:04:05.000Z","token":"seam_cst1_%040d",`+
			`"user_identifier_key":"user %d","device_count":1,"connect_webview_ids":["%036d"],"connected_account_ids":["%036d"],`+
			`"user_identity_ids":["%036d"],"user_identity_id":"%036d"}`, i, i, i, i, i, i, i)
	}
	text := `{"client_sessions":[` + strings.Join(sessions, ",") + `],"ok":true}`
	h.answerWith(text)
	got, err := h.client().List(authorized(t), &clientsessionv1.ListRequest{}, grpc.MaxCallRecvMsgSize(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.GetClientSessions()); n != count {
		t.Errorf("gRPC: %d sessions", n)
	}
	answer := h.send(http.MethodGet, "/client_sessions/list", "")
	if answer.status != http.StatusOK || len(answer.text) != len(text) || answer.text != text {
		t.Errorf("REST: %d, %d bytes, want the %d bytes that Seam sent", answer.status, len(answer.text), len(text))
	}
}

// TestCORS shows who may call from a browser: pages of the configured origins, and nobody by default.
func TestCORS(t *testing.T) {
	const origin, stranger = "https://app.example.com", "https://evil.example.com"
	preflight := []string{
		"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization,content-type",
	}
	open := start(t, func(cfg *config.Config) { cfg.CORSOrigins = []string{origin} })
	closed := start(t)
	for name, c := range map[string]struct {
		h       *harness
		origin  string
		allowed string
		status  int
	}{
		"configured":      {open, origin, origin, http.StatusNoContent},
		"stranger":        {open, stranger, "", http.StatusNoContent},
		"none by default": {closed, origin, "", http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.h.send(http.MethodOptions, grantPath, "", append(preflight, "Origin", c.origin)...)
			if got.status != c.status || got.header.Get("Access-Control-Allow-Origin") != c.allowed {
				t.Errorf("preflight: %d, %v", got.status, got.header)
			}
			if c.allowed != "" && (got.header.Get("Access-Control-Allow-Methods") != "PATCH" ||
				got.header.Get("Access-Control-Allow-Headers") != "authorization,content-type") {
				t.Errorf("preflight allows %v", got.header)
			}
			for _, body := range []string{byID, `{}`} {
				got = c.h.grant(body, "Origin", c.origin)
				exposed := got.header.Get("Access-Control-Expose-Headers")
				if got.header.Get("Access-Control-Allow-Origin") != c.allowed ||
					strings.EqualFold(exposed, "seam-request-id") != (c.allowed != "") {
					t.Errorf("answer %d: %v", got.status, got.header)
				}
			}
		})
	}
}
