package sandbox_test

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func byID(id string) string {
	return `{"client_session_id":"` + id + `"}`
}

func byKey(key string) string {
	return `{"user_identifier_key":"` + key + `"}`
}

// want checks some members of a session.
func (r reply) want(members map[string]string) map[string]any {
	r.t.Helper()
	s := r.session()
	for name, text := range members {
		got, present := s[name]
		if text == "absent" {
			if present {
				r.t.Errorf("%s is %v and not absent", name, got)
			}
			continue
		}
		if !present {
			r.t.Errorf("%s is absent", name)
		}
		sameJSON(r.t, got, text)
	}
	return s
}

func TestCreate(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	first := g.api("PUT", "create", "").want(map[string]string{
		"user_identifier_key": "null", "device_count": "0", "connect_webview_ids": "[]",
		"connected_account_ids": "[]", "user_identity_ids": "[]", "user_identity_id": "absent",
		"customer_key": "absent", "workspace_id": `"` + sandbox.WorkspaceID + `"`,
		"created_at": `"2026-01-02T03:04:05.678Z"`, "expires_at": `"2027-01-02T03:04:05.678Z"`,
	})
	if token := first["token"].(string); !regexp.MustCompile(`^seam_cst1[0-9A-Za-z]{32}$`).MatchString(token) {
		t.Errorf("token %q", token)
	}
	full := `{"connect_webview_ids":["a","b","a"],"connected_account_ids":["` + sandbox.ConnectedAccountID + `"],` +
		`"customer_id":"c","customer_key":"k","expires_at":"2026-06-01T00:00:00+02:00","user_identifier_key":"u",` +
		`"user_identity_id":"` + sandbox.UserIdentityID + `","user_identity_ids":["` + sandbox.SessionID + `"]}`
	second := g.api("POST", "create", full).want(map[string]string{
		"user_identifier_key": `"u"`, "device_count": "2", "connect_webview_ids": `["a","b"]`,
		"connected_account_ids": `["` + sandbox.ConnectedAccountID + `"]`, "customer_key": `"k"`,
		"user_identity_id": `"` + sandbox.UserIdentityID + `"`, "user_identity_ids": `["` + sandbox.UserIdentityID + `"]`,
		"expires_at": `"2026-05-31T22:00:00.000Z"`,
	})
	if first["client_session_id"] == second["client_session_id"] || first["token"] == second["token"] {
		t.Error("two sessions are alike")
	}
	const taken = "A client session with this user_identifier_key already exists"
	g.api("POST", "create", byKey("u")).fails(400, "client_session_token_already_exists", taken)
	g.api("PUT", "create", `{"user_identifier_key":"u","connect_webview_ids":["c"]}`).want(map[string]string{
		"client_session_id": `"` + second["client_session_id"].(string) + `"`, "connect_webview_ids": `["a","b"]`,
	})
	// A revoked session has lost its key, and the new one is found by it.
	renewed := g.api("POST", "create", byKey(sandbox.RevokedUserIdentifierKey)).session()["client_session_id"]
	if renewed == sandbox.RevokedSessionID {
		t.Error("the revoked session came back")
	}
	g.api("POST", "get", byKey(sandbox.RevokedUserIdentifierKey)).
		want(map[string]string{"client_session_id": fmt.Sprintf("%q", renewed)})
	g.api("POST", "create", byKey(sandbox.ExpiredUserIdentifierKey)).fails(400, "client_session_token_already_exists", taken)
}

func TestGetOrCreate(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	created := g.api("POST", "get_or_create", `{"user_identifier_key":"u","connected_account_ids":["a","b"],`+
		`"connect_webview_ids":["w"],"user_identity_ids":["`+sandbox.UserIdentityID+`"]}`).session()
	steps := []struct {
		body string
		want map[string]string
	}{
		{`{"user_identifier_key":"u"}`, map[string]string{
			"connected_account_ids": `["a","b"]`, "connect_webview_ids": `["w"]`,
			"user_identity_id": `"` + sandbox.UserIdentityID + `"`, "expires_at": `"2027-01-02T03:04:05.678Z"`,
		}},
		{`{"user_identifier_key":"u","connected_account_ids":["c"],"expires_at":"2028-01-01T00:00:00Z"}`, map[string]string{
			"connected_account_ids": `["c"]`, "connect_webview_ids": `["w"]`, "expires_at": `"2028-01-01T00:00:00.000Z"`,
		}},
		{`{"user_identifier_key":"u","connect_webview_ids":[],"user_identity_id":"` + sandbox.SessionID + `"}`, map[string]string{
			"connected_account_ids": `["c"]`, "connect_webview_ids": `[]`, "user_identity_ids": `["` + sandbox.SessionID + `"]`,
		}},
	}
	for _, step := range steps {
		s := g.api("POST", "get_or_create", step.body).want(step.want)
		if s["client_session_id"] != created["client_session_id"] || s["token"] != created["token"] {
			t.Errorf("another session: %v", s)
		}
	}
	g.api("POST", "get_or_create", byKey(sandbox.ExpiredUserIdentifierKey)).want(map[string]string{
		"client_session_id": `"` + sandbox.ExpiredSessionID + `"`, "expires_at": `"2027-01-02T03:04:05.678Z"`,
	})
	anonymous := g.api("POST", "get_or_create", "").session()
	if anonymous["client_session_id"] == g.api("POST", "get_or_create", "").session()["client_session_id"] {
		t.Error("two sessions without a key are the same")
	}
}

func TestGet(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	const id, key = sandbox.SessionID, sandbox.UserIdentifierKey
	both := func(id, key string) string {
		return `{"client_session_id":"` + id + `","user_identifier_key":"` + key + `"}`
	}
	found := map[string]string{
		byID(id):                       id,
		byKey(key):                     id,
		both(id, key):                  id,
		byID(sandbox.RevokedSessionID): sandbox.RevokedSessionID,
		byID(sandbox.ExpiredSessionID): sandbox.ExpiredSessionID,
		byKey("revoked_user"):          sandbox.RevokedSessionID,
		byID("3ADA79D3-2848-4320-B2EF-A82E1E6DAFAC"): id,
	}
	for body, want := range found {
		g.api("POST", "get", body).want(map[string]string{"client_session_id": `"` + want + `"`})
	}
	for _, body := range []string{
		byID(sandbox.UserIdentityID), byID(sandbox.OtherSessionID), byKey("nobody"), byKey("john_doe"), both(id, "nobody"),
		both(sandbox.KeylessSessionID, key),
	} {
		g.api("POST", "get", body).fails(404, "client_session_not_found", "Could not find client session")
	}
	// A client session sees itself and nothing else.
	token := []string{"client-session-token", sandbox.SessionToken}
	for _, body := range []string{"", byID(id), byKey(key)} {
		g.send("POST", "/client_sessions/get", body, token...).want(map[string]string{"client_session_id": `"` + id + `"`})
	}
	for _, body := range []string{byID(sandbox.KeylessSessionID), byKey("nobody")} {
		g.send("POST", "/client_sessions/get", body, token...).
			fails(404, "client_session_not_found", "Could not find client session")
	}
}

func TestList(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.api("PATCH", "grant_access", `{"client_session_id":"`+sandbox.SessionID+`","connect_webview_ids":["w"],"user_identity_id":"i"}`).ok()
	all := []string{sandbox.SessionID, sandbox.KeylessSessionID, sandbox.RevokedSessionID, sandbox.ExpiredSessionID}
	tests := []struct {
		query, body string
		want        []string
	}{
		{"", "", all},
		{"client_session_id=" + sandbox.KeylessSessionID, "", all[1:2]},
		{"client_session_id=x", "", nil},
		{"client_session_id=" + sandbox.OtherSessionID, "", nil},
		{"user_identifier_key=jane_doe", "", all[:1]},
		{"without_user_identifier_key=true", "", all[1:2]},
		{"without_user_identifier_key=false", "", all},
		{"connect_webview_id=w", "", all[:1]},
		{"connect_webview_id=", "", all[1:]},
		{"user_identity_id=i", "", all[:1]},
		{"user_identity_id=", "", all[1:]},
		{"user_identity_id=&user_identifier_key=jane_doe", "", nil},
		{"", `{"connect_webview_id":null,"user_identity_id":null}`, all[1:]},
		{"", `{"connect_webview_id":""}`, nil},
		{"connect_webview_id=w", `{"connect_webview_id":null}`, all[1:]},
		{"connect_webview_id=w", `{"without_user_identifier_key":true}`, nil},
	}
	for _, test := range tests {
		for _, method := range []string{"GET", "POST"} {
			if got := g.api(method, "list?"+test.query, test.body).ids(); !slices.Equal(got, test.want) {
				t.Errorf("%s %s %s: got %v", method, test.query, test.body, got)
			}
		}
	}
}

func TestGrantAccess(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	steps := []struct {
		name, body string
		want       map[string]string
	}{
		{
			"by key", `{"user_identifier_key":"jane_doe","connected_account_ids":["a"]}`,
			map[string]string{"connected_account_ids": `["a"]`, "user_identity_id": "absent"},
		},
		{
			"by id", `{"client_session_id":"` + sandbox.SessionID + `","connected_account_ids":["b","c","b"]}`,
			map[string]string{"connected_account_ids": `["a","b","c"]`},
		},
		{
			"again", `{"user_identifier_key":"jane_doe","connected_account_ids":["c","a"],"connect_webview_ids":["w"]}`,
			map[string]string{"connected_account_ids": `["a","b","c"]`, "connect_webview_ids": `["w"]`},
		},
		{
			"identity", `{"user_identifier_key":"jane_doe","user_identity_id":"i"}`,
			map[string]string{"user_identity_id": `"i"`, "user_identity_ids": `["i"]`},
		},
		{
			"another identity", `{"user_identifier_key":"jane_doe","user_identity_ids":["j"]}`,
			map[string]string{"user_identity_id": `"j"`, "user_identity_ids": `["j"]`},
		},
		{
			"nothing new", `{"user_identifier_key":"jane_doe","user_identity_id":"","connect_webview_ids":[]}`,
			map[string]string{"connected_account_ids": `["a","b","c"]`, "connect_webview_ids": `["w"]`, "user_identity_ids": `["j"]`},
		},
		{
			"another key", `{"client_session_id":"` + sandbox.SessionID + `","user_identifier_key":"jane"}`,
			map[string]string{"user_identifier_key": `"jane"`},
		},
		{
			"key of a revoked session", `{"client_session_id":"` + sandbox.SessionID + `","user_identifier_key":"revoked_user"}`,
			map[string]string{"user_identifier_key": `"revoked_user"`},
		},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			s := g.api("PATCH", "grant_access", step.body).want(step.want)
			if s["client_session_id"] != sandbox.SessionID || s["token"] != sandbox.SessionToken {
				t.Errorf("another session: %v", s)
			}
		})
	}
	g.api("POST", "grant_access", byKey("jane_doe")).fails(404, "client_session_not_found", "Could not find client session")
	for _, id := range []string{"", "not a uuid", sandbox.OtherSessionID} {
		g.api("POST", "grant_access", byID(id)).fails(404, "client_session_not_found", "Could not find client session")
	}
	g.api("POST", "grant_access", `{"client_session_id":"`+sandbox.KeylessSessionID+`","user_identifier_key":"revoked_user"}`).
		fails(400, "invalid_input", "user_identifier_key belongs to another client session")
}

func TestRevokeAndDelete(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	token := []string{"Authorization", "Bearer " + sandbox.SessionToken}
	g.send("GET", "/client_sessions/get", "", token...).session()
	g.api("POST", "revoke", byID(sandbox.SessionID)).ok()
	g.api("POST", "revoke", byID(sandbox.SessionID)).ok()
	g.send("GET", "/client_sessions/get", "", token...).fails(401, "client_session_revoked", "Client session revoked")
	g.api("DELETE", "delete?client_session_id="+sandbox.SessionID, "").ok()
	g.send("GET", "/client_sessions/get", "", token...).fails(401, "client_session_not_found", "Client session not found")
	for _, endpoint := range []string{"delete", "revoke", "get"} {
		g.api("POST", endpoint, byID(sandbox.SessionID)).fails(404, "client_session_not_found", "Could not find client session")
	}
	g.api("POST", "create", byKey(sandbox.UserIdentifierKey)).session()
}

func TestTokenExpiresWithTheClock(t *testing.T) {
	now := startTime
	g := newHarness(t, sandbox.Options{Now: func() time.Time { return now }})
	created := g.api("POST", "create", `{"expires_at":"2026-01-02T03:05:00Z"}`).session()
	token := []string{"client-session-token", created["token"].(string)}
	g.send("GET", "/client_sessions/get", "", token...).session()
	now = time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	g.send("GET", "/client_sessions/get", "", token...).fails(401, "client_session_expired", "Client session expired")
}

func TestConcurrentGrants(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	const workers, rounds = 8, 20
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for round := range rounds {
				body := fmt.Sprintf(`{"user_identifier_key":"jane_doe","connected_account_ids":["shared","%d-%d"]}`, worker, round)
				res, err := g.try(t.Context(), "PATCH", "/client_sessions/grant_access", body,
					"Authorization", "Bearer "+sandbox.APIKey)
				if err != nil || res.status != 200 {
					t.Errorf("status %d, %v", res.status, err)
				}
				g.Requests()
			}
		})
	}
	group.Wait()
	s := g.api("POST", "get", byKey("jane_doe")).session()
	if n := len(s["connected_account_ids"].([]any)); n != workers*rounds+1 {
		t.Errorf("%d connected accounts", n)
	}
	if n := len(g.Requests()); n != workers*rounds+1 {
		t.Errorf("%d requests", n)
	}
}
