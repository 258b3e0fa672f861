package server_test

import "github.com/clientsession/client-session-service/service/sandbox"

// scenario is a short sequence of requests as Seam documents them. Each is sent to the sandbox itself, to the REST
// face and, as a message, to the gRPC face; all three must say the same.
type scenario struct {
	name  string
	steps []step
}

// step is one request. The credential is the sandbox's API key where header is empty.
type step struct {
	rpc, method, query, body string
	header                   []string
	status                   int
	errorType                string
}

func one(name string, s step) scenario { return scenario{name, []step{s}} }

func bearer(token string, more ...string) []string {
	return append([]string{"authorization", "Bearer " + token}, more...)
}

const (
	mainID    = `{"client_session_id":"` + sandbox.SessionID + `"}`
	otherUser = "new_user"
	unknownID = "00000000-0000-4000-8000-000000000000"
)

func scenarios() []scenario {
	publishable := []string{"seam-publishable-key", sandbox.PublishableKey}
	everything := `{"connect_webview_ids":["w1","w2"],"connected_account_ids":["a"],"customer_id":"c","customer_key":"k",` +
		`"expires_at":"2030-01-02T03:04:05.678+02:00","user_identifier_key":"new_user",` +
		`"user_identity_id":"` + sandbox.UserIdentityID + `"}`
	badCreate := `{"connect_webview_ids":["a",1,null],"connected_account_ids":"a","customer_key":"","expires_at":"soon",` +
		`"user_identifier_key":null,"user_identity_id":"x","user_identity_ids":["y","z"],"extra":1,"more":{}}`
	return []scenario{
		one("create, no fields", step{rpc: "Create", method: "PUT", status: 200}),
		one("create, all fields", step{rpc: "Create", method: "PUT", body: everything, status: 200}),
		{"create with PUT, user exists", []step{
			{rpc: "Create", method: "PUT", body: everything, status: 200},
			{rpc: "Create", method: "PUT", body: `{"user_identifier_key":"new_user","customer_key":"x"}`, status: 200},
		}},
		{"create with POST, user exists", []step{
			{rpc: "Create", method: "POST", body: `{"user_identifier_key":"new_user"}`, status: 200},
			{
				rpc: "Create", method: "POST", body: `{"user_identifier_key":"new_user"}`,
				status: 400, errorType: "client_session_token_already_exists",
			},
		}},
		one("create, deprecated list", step{
			rpc: "Create", method: "POST",
			body: `{"user_identity_ids":["` + sandbox.UserIdentityID + `"]}`, status: 200,
		}),
		one("create, all violations at once",
			step{rpc: "Create", method: "POST", body: badCreate, status: 400, errorType: "invalid_input"}),
		one("create, date with a comma", step{
			rpc: "Create", method: "PUT",
			body: `{"expires_at":"2030-06-15T16:54:17,5Z"}`, status: 400, errorType: "invalid_input",
		}),
		one("create, date with an hour of one digit", step{
			rpc: "Create", method: "PUT",
			body: `{"expires_at":"2030-06-15T6:54:17Z"}`, status: 400, errorType: "invalid_input",
		}),
		one("create, query parameter", step{
			rpc: "Create", method: "PUT", query: "customer_key=a&_strict=true",
			status: 400, errorType: "invalid_query_params",
		}),
		one("create with a publishable key", step{
			rpc: "Create", method: "PUT", header: publishable,
			body: `{"user_identifier_key":"new_user"}`, status: 200,
		}),
		one("create with a publishable key, user in the header", step{
			rpc: "Create", method: "POST", body: `{}`,
			header: append(publishable, "seam-user-identifier-key", otherUser), status: 200,
		}),
		one("create with a publishable key, no user", step{
			rpc: "Create", method: "PUT", header: publishable,
			status: 401, errorType: "publishable_key_requires_user_identifier_key",
		}),
		one("create with a publishable key, resources", step{
			rpc: "Create", method: "PUT", header: publishable,
			body:   `{"user_identifier_key":"new_user","connected_account_ids":["a"]}`,
			status: 403, errorType: "publishable_keys_must_create_empty_client_sessions",
		}),

		one("get by id", step{rpc: "Get", method: "GET", query: "client_session_id=" + sandbox.SessionID, status: 200}),
		one("get by key", step{rpc: "Get", method: "GET", query: "user_identifier_key=jane_doe&_strict=true", status: 200}),
		one("get with POST", step{rpc: "Get", method: "POST", body: mainID, status: 200}),
		one("get a session without a key", step{
			rpc: "Get", method: "POST",
			body: `{"client_session_id":"` + sandbox.KeylessSessionID + `"}`, status: 200,
		}),
		one("get, body wins over query", step{
			rpc: "Get", method: "POST", query: "client_session_id=" + unknownID,
			body: mainID, status: 200,
		}),
		one("get, query and body make one", step{
			rpc: "Get", method: "GET", query: "user_identifier_key=nobody",
			body: mainID, status: 404, errorType: "client_session_not_found",
		}),
		one("get without a selector",
			step{rpc: "Get", method: "GET", query: "_strict=true", status: 400, errorType: "invalid_input"}),
		one("get, id that is no UUID", step{
			rpc: "Get", method: "GET", query: "client_session_id=1",
			status: 400, errorType: "invalid_input",
		}),
		one("get, empty key", step{
			rpc: "Get", method: "GET", query: "user_identifier_key=",
			status: 400, errorType: "invalid_input",
		}),
		one("get, unknown parameter", step{
			rpc: "Get", method: "GET", query: "client_session=1",
			status: 400, errorType: "invalid_query_params",
		}),
		one("get, repeated parameter", step{
			rpc: "Get", method: "GET",
			query:  "user_identifier_key=a&user_identifier_key=b",
			status: 400, errorType: "invalid_query_params",
		}),
		one("get, malformed query", step{
			rpc: "Get", method: "GET", query: "user_identifier_key=%zz",
			status: 400, errorType: "invalid_query_params",
		}),
		one("get, escaped parameter", step{rpc: "Get", method: "GET", query: "user_identifier_key=j%61ne_doe", status: 200}),
		one("get, unknown session", step{
			rpc: "Get", method: "GET", query: "client_session_id=" + unknownID,
			status: 404, errorType: "client_session_not_found",
		}),
		one("get the session of another workspace", step{
			rpc: "Get", method: "GET",
			query: "client_session_id=" + sandbox.OtherSessionID, status: 404, errorType: "client_session_not_found",
		}),
		one("get with the token of the session", step{
			rpc: "Get", method: "GET",
			header: []string{"client-session-token", sandbox.SessionToken}, status: 200,
		}),
		one("get with the token as a bearer",
			step{rpc: "Get", method: "GET", header: bearer(sandbox.SessionToken), status: 200}),
		one("get with the token of a revoked session", step{
			rpc: "Get", method: "GET",
			header: bearer(sandbox.RevokedSessionToken), status: 401, errorType: "client_session_revoked",
		}),
		one("get with the token of an expired session", step{
			rpc: "Get", method: "GET",
			header: bearer(sandbox.ExpiredSessionToken), status: 401, errorType: "client_session_expired",
		}),
		one("get with the token of no session", step{
			rpc: "Get", method: "GET",
			header: bearer("seam_cst1Unknown"), status: 401, errorType: "client_session_not_found",
		}),
		one("get with an access token", step{
			rpc: "Get", method: "POST", body: mainID,
			header: bearer(sandbox.AccessToken, "seam-workspace", sandbox.WorkspaceID), status: 200,
		}),
		one("get with an access token and no workspace", step{
			rpc: "Get", method: "POST", body: mainID,
			header: bearer(sandbox.AccessToken), status: 401, errorType: "workspace_not_found",
		}),
		one("get with an unknown access token", step{
			rpc: "Get", method: "POST", body: mainID,
			header: bearer("seam_at1Unknown", "seam-workspace", sandbox.WorkspaceID),
			status: 401, errorType: "unauthorized",
		}),
		one("get with a console token", step{
			rpc: "Get", method: "POST", body: mainID,
			header: bearer(sandbox.ConsoleToken, "seam-workspace", sandbox.WorkspaceID), status: 200,
		}),

		{"get_or_create, replaces lists", []step{
			{
				rpc: "GetOrCreate", method: "POST", body: `{"user_identifier_key":"new_user","connect_webview_ids":["a","b"]}`,
				status: 200,
			},
			{rpc: "GetOrCreate", method: "POST", body: `{"user_identifier_key":"new_user","connect_webview_ids":["c"],` +
				`"connected_account_ids":["d"],"expires_at":"2031-01-01T00:00:00Z"}`, status: 200},
		}},
		{"get_or_create, no list is not an empty list", []step{
			{rpc: "GetOrCreate", method: "POST", body: `{"user_identifier_key":"new_user","connect_webview_ids":["a"],` +
				`"connected_account_ids":["b"]}`, status: 200},
			{
				rpc: "GetOrCreate", method: "POST", body: `{"user_identifier_key":"new_user","connect_webview_ids":[]}`,
				status: 200,
			},
		}},
		one("get_or_create, violations", step{
			rpc: "GetOrCreate", method: "POST", body: badCreate,
			status: 400, errorType: "invalid_input",
		}),

		one("list all", step{rpc: "List", method: "GET", status: 200}),
		one("list with POST", step{rpc: "List", method: "POST", body: `{"user_identifier_key":"jane_doe"}`, status: 200}),
		one("list by id", step{rpc: "List", method: "GET", query: "client_session_id=" + sandbox.SessionID, status: 200}),
		{"list those with a Connect Webview and those without", []step{
			{
				rpc: "GrantAccess", method: "PATCH", status: 200,
				body: `{"user_identifier_key":"jane_doe","connect_webview_ids":["w"],"user_identity_id":"i"}`,
			},
			{rpc: "List", method: "GET", query: "connect_webview_id=w", status: 200},
			{rpc: "List", method: "GET", query: "connect_webview_id=", status: 200},
			{rpc: "List", method: "POST", body: `{"connect_webview_id":null}`, status: 200},
			{rpc: "List", method: "POST", body: `{"user_identity_id":null}`, status: 200},
			{rpc: "List", method: "POST", body: `{"user_identity_id":"i"}`, query: "user_identity_id=", status: 200},
		}},
		one("list those without a user", step{
			rpc: "List", method: "GET",
			query: "without_user_identifier_key=true&_strict=true", status: 200,
		}),
		one("list, boolean that is none", step{
			rpc: "List", method: "GET", query: "without_user_identifier_key=1",
			status: 400, errorType: "invalid_input",
		}),
		one("list, boolean of another case", step{
			rpc: "List", method: "GET", query: "without_user_identifier_key=True",
			status: 400, errorType: "invalid_input",
		}),
		one("list, violations", step{
			rpc: "List", method: "POST",
			body:   `{"client_session_id":"","connect_webview_id":1,"without_user_identifier_key":null}`,
			status: 400, errorType: "invalid_input",
		}),
		one("list in the other workspace",
			step{rpc: "List", method: "GET", header: bearer(sandbox.OtherAPIKey), status: 200}),
		one("list with a publishable key", step{
			rpc: "List", method: "GET", header: publishable,
			status: 401, errorType: "unauthorized",
		}),

		one("grant_access by query", step{
			rpc: "GrantAccess", method: "PATCH",
			query: "user_identifier_key=jane_doe&connected_account_ids=a&connected_account_ids=b", status: 200,
		}),
		one("grant_access, both selectors", step{
			rpc: "GrantAccess", method: "POST",
			body: `{"client_session_id":"` + sandbox.KeylessSessionID + `","user_identifier_key":"new_user"}`, status: 200,
		}),
		one("grant_access, unknown session", step{
			rpc: "GrantAccess", method: "POST",
			body: `{"user_identifier_key":"nobody"}`, status: 404, errorType: "client_session_not_found",
		}),
		one("grant_access, body that is no object",
			step{rpc: "GrantAccess", method: "POST", body: `[1]`, status: 400, errorType: "invalid_input"}),

		{"revoke, and again", []step{
			{rpc: "Revoke", method: "POST", body: mainID, status: 200},
			{rpc: "Revoke", method: "POST", query: "client_session_id=" + sandbox.SessionID, status: 200},
			{rpc: "Get", method: "GET", header: bearer(sandbox.SessionToken), status: 401, errorType: "client_session_revoked"},
		}},
		one("revoke, id missing",
			step{rpc: "Revoke", method: "POST", body: `{}`, status: 400, errorType: "invalid_input"}),
		one("revoke, empty id", step{
			rpc: "Revoke", method: "POST", body: `{"client_session_id":""}`,
			status: 400, errorType: "invalid_input",
		}),
		{"delete, and again", []step{
			{rpc: "Delete", method: "DELETE", query: "client_session_id=" + sandbox.SessionID, status: 200},
			{rpc: "Delete", method: "POST", body: mainID, status: 404, errorType: "client_session_not_found"},
		}},
		one("delete, id missing",
			step{rpc: "Delete", method: "DELETE", status: 400, errorType: "invalid_input"}),
	}
}
