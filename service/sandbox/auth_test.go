package sandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// outcome is what a credential gets at an endpoint: the type and message of an
// error, or nothing for a response with status 200.
type outcome struct {
	status        int
	kind, message string
}

var (
	allowed = outcome{status: 200}
	refused = outcome{401, "unauthorized", "No authentication methods succeeded"}
)

// calls has a harmless request to each endpoint.
func calls() map[string][2]string {
	byID := `{"client_session_id":"` + sandbox.KeylessSessionID + `"}`
	return map[string][2]string{
		"create":        {"PUT", `{"user_identifier_key":"someone"}`},
		"get":           {"POST", byID},
		"get_or_create": {"POST", `{"user_identifier_key":"someone"}`},
		"list":          {"GET", ""},
		"grant_access":  {"PATCH", byID},
		"revoke":        {"POST", byID},
		"delete":        {"POST", byID},
	}
}

func (g *harness) expect(res reply, want outcome) {
	g.t.Helper()
	if want.status == 200 {
		res.ok()
		return
	}
	res.fails(want.status, want.kind, want.message)
}

func TestCredentials(t *testing.T) {
	everywhere := func(o outcome) map[string]outcome {
		m := map[string]outcome{}
		for endpoint := range calls() {
			m[endpoint] = o
		}
		return m
	}
	only := func(o outcome, endpoints ...string) map[string]outcome {
		m := everywhere(refused)
		for _, endpoint := range endpoints {
			m[endpoint] = o
		}
		return m
	}
	unauthorized := func(message string) outcome { return outcome{401, "unauthorized", message} }
	noWorkspace := outcome{401, "workspace_not_found", "Workspace not found"}
	bearer := func(token string, more ...string) []string {
		return append([]string{"Authorization", "Bearer " + token}, more...)
	}
	empty := []string{"seam-workspace", "", "seam-client-session-token", "", "client-session-token", "", "seam-publishable-key", ""}
	tests := []struct {
		name    string
		headers []string
		want    map[string]outcome
	}{
		{"nothing", nil, everywhere(refused)},
		{"empty headers only", append(empty, "Authorization", ""), everywhere(refused)},
		{"empty bearer", []string{"Authorization", "Bearer "}, everywhere(refused)},
		{"api key", bearer(sandbox.APIKey), everywhere(allowed)},
		{"api key and empty headers", bearer(sandbox.APIKey, empty...), everywhere(allowed)},
		{"api key, lower case scheme", []string{"Authorization", "bearer " + sandbox.APIKey}, everywhere(refused)},
		{"api key, upper case scheme", []string{"Authorization", "BEARER " + sandbox.APIKey}, everywhere(refused)},
		{"api key, two spaces", bearer(" " + sandbox.APIKey), everywhere(refused)},
		{"api key, space after it", bearer(sandbox.APIKey + " "), everywhere(allowed)},
		{"api key without a scheme", []string{"Authorization", sandbox.APIKey}, everywhere(refused)},
		{"api key and the workspace of another", bearer(sandbox.APIKey, "seam-workspace", sandbox.OtherWorkspaceID), everywhere(allowed)},
		{"unknown api key", bearer("seam_nobody"), everywhere(unauthorized("API Key not found"))},
		{"basic", []string{"Authorization", "Basic " + sandbox.APIKey}, everywhere(refused)},
		{"unknown form", bearer("abc"), everywhere(refused)},
		{"pat", bearer(sandbox.AccessToken, "seam-workspace", sandbox.WorkspaceID), everywhere(allowed)},
		{"pat without workspace", bearer(sandbox.AccessToken), everywhere(noWorkspace)},
		{"pat with empty workspace", bearer(sandbox.AccessToken, "seam-workspace", ""), everywhere(noWorkspace)},
		{"pat with unknown workspace", bearer(sandbox.AccessToken, "seam-workspace", sandbox.SessionID), everywhere(noWorkspace)},
		{"unknown pat", bearer("seam_at1nobody"), everywhere(unauthorized("Access token not found"))},
		{"jwt", bearer(sandbox.ConsoleToken, "seam-workspace", sandbox.WorkspaceID), everywhere(allowed)},
		{"jwt without workspace", bearer(sandbox.ConsoleToken), everywhere(noWorkspace)},
		{"unknown jwt", bearer("eyJ.a.b", "seam-workspace", sandbox.WorkspaceID), everywhere(refused)},
		{"session token", bearer(sandbox.KeylessSessionToken), only(allowed, "get")},
		{"session token in header", []string{"client-session-token", sandbox.KeylessSessionToken}, only(allowed, "get")},
		{"session token in other header", []string{"seam-client-session-token", sandbox.KeylessSessionToken}, only(allowed, "get")},
		{"session token after empty header", []string{"client-session-token", "", "seam-client-session-token", sandbox.KeylessSessionToken}, only(allowed, "get")},
		{"unknown session token", bearer("seam_cst1x"), only(outcome{401, "client_session_not_found", "Client session not found"}, "get")},
		{"unknown session token in header", []string{"client-session-token", "seam_cst1x"}, only(outcome{401, "client_session_not_found", "Client session not found"}, "get")},
		{"no session token in its header", []string{"client-session-token", "x"}, everywhere(refused)},
		{"api key in the header of a session token", []string{"client-session-token", sandbox.APIKey}, everywhere(refused)},
		{"no session token before a good one", []string{"client-session-token", "x", "seam-client-session-token", sandbox.SessionToken}, everywhere(refused)},
		{"session token beside a lower case scheme", []string{"Authorization", "bearer x", "client-session-token", sandbox.SessionToken}, everywhere(refused)},
		{"session token beside an empty bearer", []string{"Authorization", "Bearer ", "client-session-token", sandbox.SessionToken}, everywhere(refused)},
		{"session token beside an empty header", []string{"Authorization", "", "client-session-token", sandbox.KeylessSessionToken}, only(allowed, "get")},
		{"session token as bearer and in header", bearer(sandbox.KeylessSessionToken, "client-session-token", sandbox.KeylessSessionToken), only(allowed, "get")},
		{"revoked session token", bearer(sandbox.RevokedSessionToken), only(outcome{401, "client_session_revoked", "Client session revoked"}, "get")},
		{"expired session token", bearer(sandbox.ExpiredSessionToken), only(outcome{401, "client_session_expired", "Client session expired"}, "get")},
		{"publishable key", []string{"seam-publishable-key", sandbox.PublishableKey}, only(allowed, "create", "get_or_create")},
		{"publishable key as bearer", bearer(sandbox.PublishableKey), everywhere(refused)},
		{"publishable key beside an empty bearer", []string{"Authorization", "Bearer ", "seam-publishable-key", sandbox.PublishableKey}, everywhere(refused)},
		{"unknown publishable key", []string{"seam-publishable-key", "seam_pk1nobody"}, only(noWorkspace, "create", "get_or_create")},
		{"no publishable key", []string{"seam-publishable-key", sandbox.APIKey}, everywhere(refused)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newHarness(t, sandbox.Options{})
			for endpoint, call := range calls() {
				g.Reset()
				res := g.send(call[0], "/client_sessions/"+endpoint, call[1], test.headers...)
				g.expect(res, test.want[endpoint])
				if res.status == 200 {
					continue
				}
				for i := 1; i < len(test.headers); i += 2 {
					secret := strings.TrimPrefix(test.headers[i], "Bearer ")
					if len(secret) > 3 && strings.Contains(string(res.body), secret) {
						t.Errorf("the error quotes the credential: %s", res.body)
					}
				}
			}
		})
	}
}

// TestRepeatedHeaders shows that a second header of one name is not passed over, also when the first alone would do.
func TestRepeatedHeaders(t *testing.T) {
	s := sandbox.New(sandbox.Options{})
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"two keys":             {http.Header{"Authorization": {"Bearer " + sandbox.APIKey, "Bearer " + sandbox.OtherAPIKey}}, 401},
		"a key twice":          {http.Header{"Authorization": {"Bearer " + sandbox.APIKey, "Bearer " + sandbox.APIKey}}, 401},
		"a key and an empty":   {http.Header{"Authorization": {"Bearer " + sandbox.APIKey, ""}}, 200},
		"two workspaces":       {http.Header{"Authorization": {"Bearer " + sandbox.AccessToken}, "Seam-Workspace": {sandbox.WorkspaceID, sandbox.OtherWorkspaceID}}, 401},
		"two tokens":           {http.Header{"Client-Session-Token": {sandbox.SessionToken, sandbox.KeylessSessionToken}}, 401},
		"an empty and a token": {http.Header{"Client-Session-Token": {"", sandbox.SessionToken}}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/client_sessions/get?client_session_id="+sandbox.SessionID, http.NoBody)
			r.Header = c.header
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("status %d, body %s", w.Code, w.Body)
			}
		})
	}
}

func TestPublishableKey(t *testing.T) {
	const account = `"connected_account_ids":["a"]`
	header := func(name string) []string { return []string{name, "from_header"} }
	noUser := outcome{401, "publishable_key_requires_user_identifier_key", "A publishable key requires a user_identifier_key"}
	mustBeEmpty := outcome{403, "publishable_keys_must_create_empty_client_sessions", "Publishable keys must create empty client sessions"}
	tests := []struct {
		name, body string
		headers    []string
		want       outcome
		key        string
	}{
		{"no user", `{}`, nil, noUser, ""},
		{"no user and wrong", `{"nonsense":1}`, nil, noUser, ""},
		{"no body", ``, nil, noUser, ""},
		{"empty header", `{}`, []string{"user-identifier-key", ""}, noUser, ""},
		{"body", `{"user_identifier_key":"from_body"}`, nil, allowed, "from_body"},
		{"header", ``, header("user-identifier-key"), allowed, "from_header"},
		{"other header", `{}`, header("seam-user-identifier-key"), allowed, "from_header"},
		{"both", `{"user_identifier_key":"from_body"}`, header("user-identifier-key"), allowed, "from_body"},
		{"empty lists", `{"connected_account_ids":[],"connect_webview_ids":[]}`, header("user-identifier-key"), allowed, "from_header"},
		{"filled list", `{"user_identifier_key":"u",` + account + `}`, nil, mustBeEmpty, ""},
		{"filled list, header", `{` + account + `}`, header("user-identifier-key"), mustBeEmpty, ""},
		{"webview", `{"connect_webview_ids":["a"]}`, header("user-identifier-key"), mustBeEmpty, ""},
		{"identity", `{"user_identity_id":"` + sandbox.UserIdentityID + `"}`, header("user-identifier-key"), mustBeEmpty, ""},
		{
			"empty key", `{"user_identifier_key":""}`, header("user-identifier-key"),
			outcome{400, "invalid_input", `String must contain at least 1 character(s) for "user_identifier_key"`},
			"",
		},
		{"no object", `[]`, nil, outcome{400, "invalid_input", "Expected object, received array"}, ""},
	}
	for _, test := range tests {
		for _, endpoint := range []string{"create", "get_or_create"} {
			t.Run(test.name+" "+endpoint, func(t *testing.T) {
				g := newHarness(t, sandbox.Options{})
				res := g.send("POST", "/client_sessions/"+endpoint, test.body,
					append(test.headers, "seam-publishable-key", sandbox.PublishableKey)...)
				g.expect(res, test.want)
				if test.want == allowed && res.session()["user_identifier_key"] != test.key {
					t.Errorf("got %s", res.body)
				}
			})
		}
	}
}

func TestWorkspacesAreApart(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	other := []string{"Authorization", "Bearer " + sandbox.OtherAPIKey}
	for endpoint, call := range calls() {
		switch endpoint {
		case "get", "grant_access", "revoke", "delete":
			g.send(call[0], "/client_sessions/"+endpoint, call[1], other...).
				fails(404, "client_session_not_found", "Could not find client session")
		}
	}
	g.send("GET", "/client_sessions/get?user_identifier_key="+sandbox.UserIdentifierKey, "", other...).
		fails(404, "client_session_not_found", "Could not find client session")
	if got := g.send("GET", "/client_sessions/list", "", other...).ids(); len(got) != 1 || got[0] != sandbox.OtherSessionID {
		t.Errorf("got %v", got)
	}
	// The same key is free in the other workspace, and the same PAT sees there
	// what belongs there.
	g.send("POST", "/client_sessions/create", `{"user_identifier_key":"`+sandbox.UserIdentifierKey+`"}`, other...).session()
	for _, token := range []string{sandbox.AccessToken, sandbox.ConsoleToken} {
		s := g.send("GET", "/client_sessions/get?client_session_id="+sandbox.OtherSessionID, "",
			"Authorization", "Bearer "+token, "seam-workspace", strings.ToUpper(sandbox.OtherWorkspaceID)).session()
		if s["workspace_id"] != sandbox.OtherWorkspaceID {
			t.Errorf("got %v", s)
		}
	}
}
