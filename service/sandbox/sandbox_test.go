package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/goleak"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestRawJSON(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, test := range []struct{ method, endpoint, body, want string }{
		{
			"GET", "get?client_session_id=" + sandbox.KeylessSessionID, "",
			`{"client_session":{"client_session_id":"0b9c8d7e-6f5a-4432-9c1b-0a1b2c3d4e03",` +
				`"connect_webview_ids":[],"connected_account_ids":[],"created_at":"2025-12-23T04:04:05.678Z",` +
				`"device_count":0,"expires_at":"2026-12-23T04:04:05.678Z",` +
				`"token":"seam_cst1SandboxKeyless000000000000000000","user_identifier_key":null,` +
				`"user_identity_ids":[],"workspace_id":"5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01"},"ok":true}`,
		},
		{ // The grant that Seam documents.
			"PATCH", "grant_access",
			`{"client_session_id":"3ada79d3-2848-4320-b2ef-a82e1e6dafac","user_identifier_key":"jane_doe",` +
				`"connected_account_ids":["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"],` +
				`"connect_webview_ids":["dad03fb2-f801-449c-ab88-0529728c7c38"],` +
				`"user_identity_id":"bde98963-3615-4e92-943e-17de3017232b"}`,
			`{"client_session":{"client_session_id":"3ada79d3-2848-4320-b2ef-a82e1e6dafac",` +
				`"connect_webview_ids":["dad03fb2-f801-449c-ab88-0529728c7c38"],` +
				`"connected_account_ids":["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"],` +
				`"created_at":"2025-12-23T03:04:05.678Z","device_count":2,"expires_at":"2026-12-23T03:04:05.678Z",` +
				`"token":"seam_cst1SandboxFirst00000000000000000000","user_identifier_key":"jane_doe",` +
				`"user_identity_id":"bde98963-3615-4e92-943e-17de3017232b",` +
				`"user_identity_ids":["bde98963-3615-4e92-943e-17de3017232b"],` +
				`"workspace_id":"5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01"},"ok":true}`,
		},
		{"POST", "revoke", byID(sandbox.KeylessSessionID), `{"ok":true}`},
		{"GET", "list?user_identifier_key=%3Cnobody%3E", "", `{"client_sessions":[],"ok":true}`},
	} {
		res := g.api(test.method, test.endpoint, test.body)
		res.ok()
		if string(res.body) != test.want {
			t.Errorf("got  %s\nwant %s", res.body, test.want)
		}
	}
}

// Two runs after a reset must be the same to the byte.
func TestResetIsDeterministic(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	run := func() (all string) {
		g.api("POST", "delete", byID(sandbox.SessionID)).ok()
		for _, body := range []string{byKey("a"), byKey("b"), ""} {
			all += string(g.api("PUT", "create", body).body)
		}
		return all + string(g.api("GET", "list", "").body)
	}
	first := run()
	g.inject(sandbox.Fault{Status: 500})
	g.Reset()
	if n := len(g.Requests()); n != 0 {
		t.Errorf("%d requests after a reset", n)
	}
	if second := run(); second != first {
		t.Errorf("first  %s\nsecond %s", first, second)
	}
}

func TestRequests(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.api("POST", "list?_strict=true", `{}`, "seam-sdk-name", "test").ok()
	g.send("GET", "//elsewhere", "")
	got := g.Requests()
	if len(got) != 2 || got[1].Path != "//elsewhere" {
		t.Fatalf("got %+v", got)
	}
	first := got[0]
	if first.Method != "POST" || first.Path != "/client_sessions/list" || first.RawQuery != "_strict=true" ||
		first.Header.Get("seam-sdk-name") != "test" || string(first.Body) != "{}" {
		t.Errorf("got %+v", first)
	}
	first.Header.Set("seam-sdk-name", "changed")
	if g.Requests()[0].Header.Get("seam-sdk-name") != "test" {
		t.Error("the caller can change the log")
	}
	for range 10_001 {
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/a", http.NoBody))
	}
	if got := g.Requests(); len(got) != 10_000 || got[0].Path != "/a" {
		t.Errorf("%d requests", len(got))
	}
	g.ClearRequests()
	if len(g.Requests()) != 0 {
		t.Error("the log is not empty")
	}
}
