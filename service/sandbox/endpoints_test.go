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

const taken = "400 client_session_token_already_exists: A client session with this user_identifier_key already exists"

func TestCreate(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	first := g.api("PUT", "create", "").session(
		`{"user_identifier_key":null,"device_count":0,"connect_webview_ids":[],"connected_account_ids":[],` +
			`"user_identity_ids":[],"user_identity_id":"absent","customer_key":"absent","workspace_id":"` +
			sandbox.WorkspaceID + `","created_at":"2026-01-02T03:04:05.678Z","expires_at":"2027-01-02T03:04:05.678Z"}`)
	if token := first["token"].(string); !regexp.MustCompile(`^seam_cst1[0-9A-Za-z]{32}$`).MatchString(token) {
		t.Errorf("token %q", token)
	}
	full := `{"connect_webview_ids":["a","b","a"],"connected_account_ids":["` + sandbox.ConnectedAccountID + `"],` +
		`"customer_id":"c","customer_key":"k","expires_at":"2026-06-01T00:00:00+02:00","user_identifier_key":"u",` +
		`"user_identity_id":"` + sandbox.UserIdentityID + `","user_identity_ids":["` + sandbox.SessionID + `"]}`
	second := g.api("POST", "create", full).session(
		`{"user_identifier_key":"u","device_count":2,"connect_webview_ids":["a","b"],"connected_account_ids":["` +
			sandbox.ConnectedAccountID + `"],"customer_key":"k","user_identity_id":"` + sandbox.UserIdentityID +
			`","user_identity_ids":["` + sandbox.UserIdentityID + `"],"expires_at":"2026-05-31T22:00:00.000Z"}`)
	if first["client_session_id"] == second["client_session_id"] || first["token"] == second["token"] {
		t.Error("two sessions are alike")
	}
	g.api("POST", "create", byKey("u")).fails(taken)
	again := g.api("PUT", "create", `{"user_identifier_key":"u","connect_webview_ids":["c"]}`).session(`{"connect_webview_ids":["a","b"]}`)
	if again["client_session_id"] != second["client_session_id"] {
		t.Errorf("another session: %v", again)
	}
	// A revoked session has lost its key, and the new one is found by it.
	renewed := g.api("POST", "create", byKey(sandbox.RevokedUserIdentifierKey)).session(`{}`)["client_session_id"].(string)
	if renewed == sandbox.RevokedSessionID {
		t.Error("the revoked session came back")
	}
	g.api("POST", "get", byKey(sandbox.RevokedUserIdentifierKey)).session(byID(renewed))
	g.api("POST", "create", byKey(sandbox.ExpiredUserIdentifierKey)).fails(taken)
}

func TestGetOrCreate(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	created := g.api("POST", "get_or_create", `{"user_identifier_key":"u","connected_account_ids":["a","b"],`+
		`"connect_webview_ids":["w"],"user_identity_ids":["`+sandbox.UserIdentityID+`"]}`).session(`{}`)
	for _, step := range []struct{ body, want string }{
		{
			`{"user_identifier_key":"u"}`,
			`{"connected_account_ids":["a","b"],"connect_webview_ids":["w"],"user_identity_id":"` + sandbox.UserIdentityID +
				`","expires_at":"2027-01-02T03:04:05.678Z"}`,
		},
		{
			`{"user_identifier_key":"u","connected_account_ids":["c"],"expires_at":"2028-01-01T00:00:00Z"}`,
			`{"connected_account_ids":["c"],"connect_webview_ids":["w"],"expires_at":"2028-01-01T00:00:00.000Z"}`,
		},
		{
			`{"user_identifier_key":"u","connect_webview_ids":[],"user_identity_id":"` + sandbox.SessionID + `"}`,
			`{"connected_account_ids":["c"],"connect_webview_ids":[],"user_identity_ids":["` + sandbox.SessionID + `"]}`,
		},
	} {
		s := g.api("POST", "get_or_create", step.body).session(step.want)
		if s["client_session_id"] != created["client_session_id"] || s["token"] != created["token"] {
			t.Errorf("another session: %v", s)
		}
	}
	g.api("POST", "get_or_create", byKey(sandbox.ExpiredUserIdentifierKey)).session(
		`{"client_session_id":"` + sandbox.ExpiredSessionID + `","expires_at":"2027-01-02T03:04:05.678Z"}`)
	anonymous := g.api("POST", "get_or_create", "").session(`{}`)
	if anonymous["client_session_id"] == g.api("POST", "get_or_create", "").session(`{}`)["client_session_id"] {
		t.Error("two sessions without a key are the same")
	}
}

func TestGet(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	const id, key = sandbox.SessionID, sandbox.UserIdentifierKey
	both := func(id, key string) string {
		return `{"client_session_id":"` + id + `","user_identifier_key":"` + key + `"}`
	}
	for body, want := range map[string]string{
		byID(id):                       id,
		byKey(key):                     id,
		both(id, key):                  id,
		byID(sandbox.RevokedSessionID): sandbox.RevokedSessionID,
		byID(sandbox.ExpiredSessionID): sandbox.ExpiredSessionID,
		byKey("revoked_user"):          sandbox.RevokedSessionID,
		byID("3ADA79D3-2848-4320-B2EF-A82E1E6DAFAC"): id,
	} {
		g.api("POST", "get", body).session(byID(want))
	}
	for _, body := range []string{
		byID(sandbox.UserIdentityID), byID(sandbox.OtherSessionID), byKey("nobody"), byKey("john_doe"), both(id, "nobody"),
		both(sandbox.KeylessSessionID, key), `{}`,
	} {
		g.api("POST", "get", body).fails(sessionNotFound)
	}
	// A client session sees itself and nothing else.
	token := []string{"client-session-token", sandbox.SessionToken}
	for _, body := range []string{"", byID(id), byKey(key)} {
		g.send("POST", "/client_sessions/get", body, token...).session(byID(id))
	}
	for _, body := range []string{byID(sandbox.KeylessSessionID), byKey("nobody")} {
		g.send("POST", "/client_sessions/get", body, token...).fails(sessionNotFound)
	}
	g.send("POST", "/client_sessions/get", both(id, key), token...).fails("400 invalid_options: Cannot send " +
		"client_session_id or user_identifier_key params when using a client session token")
}

func TestList(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.api("PATCH", "grant_access", `{"client_session_id":"`+sandbox.SessionID+`","connect_webview_ids":["w"],"user_identity_id":"i"}`).ok()
	all := []string{sandbox.SessionID, sandbox.KeylessSessionID, sandbox.RevokedSessionID, sandbox.ExpiredSessionID}
	for _, test := range []struct {
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
	} {
		for _, method := range []string{"GET", "POST"} {
			if got := g.api(method, "list?"+test.query, test.body).ids(); !slices.Equal(got, test.want) {
				t.Errorf("%s %s %s: got %v", method, test.query, test.body, got)
			}
		}
	}
}

func TestGrantAccess(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	const id = `{"client_session_id":"` + sandbox.SessionID + `",`
	for _, step := range []struct{ name, body, want string }{
		{
			"by key", `{"user_identifier_key":"jane_doe","connected_account_ids":["a"]}`,
			`{"connected_account_ids":["a"],"user_identity_id":"absent"}`,
		},
		{"by id", id + `"connected_account_ids":["b","c","b"]}`, `{"connected_account_ids":["a","b","c"]}`},
		{
			"again", `{"user_identifier_key":"jane_doe","connected_account_ids":["c","a"],"connect_webview_ids":["w"]}`,
			`{"connected_account_ids":["a","b","c"],"connect_webview_ids":["w"]}`,
		},
		{
			"identity", `{"user_identifier_key":"jane_doe","user_identity_id":"i"}`,
			`{"user_identity_id":"i","user_identity_ids":["i"]}`,
		},
		{
			"another identity", `{"user_identifier_key":"jane_doe","user_identity_ids":["j"]}`,
			`{"user_identity_id":"j","user_identity_ids":["j"]}`,
		},
		{
			"nothing new", `{"user_identifier_key":"jane_doe","user_identity_id":"","connect_webview_ids":[]}`,
			`{"connected_account_ids":["a","b","c"],"connect_webview_ids":["w"],"user_identity_ids":["j"]}`,
		},
		{"another key", id + `"user_identifier_key":"jane"}`, `{"user_identifier_key":"jane"}`},
		{"key of a revoked session", id + `"user_identifier_key":"revoked_user"}`, `{"user_identifier_key":"revoked_user"}`},
	} {
		t.Run(step.name, func(t *testing.T) {
			g := g.within(t)
			s := g.api("PATCH", "grant_access", step.body).session(step.want)
			if s["client_session_id"] != sandbox.SessionID || s["token"] != sandbox.SessionToken {
				t.Errorf("another session: %v", s)
			}
		})
	}
	for _, body := range []string{byKey("jane_doe"), byID(""), byID("not a uuid"), byID(sandbox.OtherSessionID)} {
		g.api("POST", "grant_access", body).fails(sessionNotFound)
	}
	g.api("POST", "grant_access", `{"client_session_id":"`+sandbox.KeylessSessionID+`","user_identifier_key":"revoked_user"}`).
		fails(invalid("user_identifier_key belongs to another client session"))
}

func TestRevokeAndDelete(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	get := func() reply {
		return g.send("GET", "/client_sessions/get", "", "client-session-token", sandbox.SessionToken)
	}
	get().ok()
	g.api("POST", "revoke", byID(sandbox.SessionID)).ok()
	g.api("POST", "revoke", byID(sandbox.SessionID)).ok()
	get().fails(revokedToken)
	g.api("DELETE", "delete?client_session_id="+sandbox.SessionID, "").ok()
	get().fails(unknownToken)
	for _, endpoint := range []string{"delete", "revoke", "get"} {
		g.api("POST", endpoint, byID(sandbox.SessionID)).fails(sessionNotFound)
	}
	g.api("POST", "create", byKey(sandbox.UserIdentifierKey)).ok()
}

func TestTokenExpiresWithTheClock(t *testing.T) {
	now := startTime
	g := newHarness(t, sandbox.Options{Now: func() time.Time { return now }})
	created := g.api("POST", "create", `{"expires_at":"2026-01-02T03:05:00Z"}`).session(`{}`)
	get := func() reply {
		return g.send("GET", "/client_sessions/get", "", "client-session-token", created["token"].(string))
	}
	get().ok()
	now = time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC)
	get().fails(expiredToken)
}

func TestConcurrentGrants(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	const workers, rounds = 8, 20
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for round := range rounds {
				body := fmt.Sprintf(`{"user_identifier_key":"jane_doe","connected_account_ids":["shared","%d-%d"]}`, worker, round)
				res, err := g.try(t.Context(), "PATCH", "/client_sessions/grant_access", body, withKey()...)
				if err != nil || res.status != 200 {
					t.Errorf("status %d, %v", res.status, err)
				}
				g.Requests()
			}
		})
	}
	group.Wait()
	s := g.api("POST", "get", byKey("jane_doe")).session(`{}`)
	if n := len(s["connected_account_ids"].([]any)); n != workers*rounds+1 {
		t.Errorf("%d connected accounts", n)
	}
	if n := len(g.Requests()); n != workers*rounds+1 {
		t.Errorf("%d requests", n)
	}
}
