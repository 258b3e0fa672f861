package sandbox_test

import (
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func TestMethodForms(t *testing.T) {
	const id = sandbox.SessionID
	byID := `{"client_session_id":"` + id + `"}`
	tests := []struct {
		method, target, body string
	}{
		{"POST", "create", `{}`},
		{"PUT", "create", `{}`},
		{"GET", "get?client_session_id=" + id, ""},
		{"GET", "get?client_session_id=" + id + "&_strict=true", ""},
		{"GET", "get", byID},
		{"POST", "get", byID},
		{"POST", "get?client_session_id=" + id, ""},
		{"POST", "get?client_session_id=00000000-0000-0000-0000-000000000000", byID},
		{"POST", "get_or_create", `{}`},
		{"GET", "list", ""},
		{"GET", "list?_strict=true", ""},
		{"POST", "list", `{}`},
		{"PATCH", "grant_access", byID},
		{"POST", "grant_access", byID},
		{"PATCH", "grant_access?client_session_id=" + id + "&connected_account_ids=a&connected_account_ids=b", ""},
		{"PATCH", "grant_access?client_session_id=" + id + "&connected_account_ids=", ""},
		{"POST", "revoke", byID},
		{"POST", "revoke?client_session_id=" + id, ""},
		{"DELETE", "delete?client_session_id=" + id + "&_strict=true", ""},
		{"DELETE", "delete", byID},
		{"POST", "delete", byID},
	}
	for _, test := range tests {
		t.Run(test.method+" "+test.target, func(t *testing.T) {
			g := newHarness(t, sandbox.Options{})
			for _, slashes := range []string{"/", "//", "///"} {
				g.Reset()
				res := g.send(test.method, slashes+"client_sessions/"+test.target, test.body,
					"Authorization", "Bearer "+sandbox.APIKey)
				res.ok()
			}
		})
	}
}

func TestMethodNotAllowed(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	tests := map[string]string{
		"create": "POST,PUT", "get": "GET,POST", "get_or_create": "POST", "list": "GET,POST",
		"grant_access": "PATCH,POST", "revoke": "POST", "delete": "DELETE,POST",
	}
	for endpoint, methods := range tests {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"} {
			if strings.Contains(","+methods+",", ","+method+",") {
				continue
			}
			// No credential is sent, because the method is checked first.
			res := g.send(method, "/client_sessions/"+endpoint, "")
			res.fails(405, "method_not_allowed", "only "+methods+" accepted")
			if got := res.header.Get("Allow"); got != strings.ReplaceAll(methods, ",", ", ") {
				t.Errorf("Allow is %q", got)
			}
		}
	}
}

func TestUnknownPath(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, path := range []string{
		"/", "/client_sessions", "/client_sessions/", "/client_sessions/get/", "/client_sessions//get",
		"/client_sessions/../client_sessions/get", "/devices/list", "/_sandbox/nothing",
	} {
		g.send("GET", path, "").fails(404, "not_found", "Not found")
	}
}

func TestContentTypes(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	tests := []struct {
		name, method, contentType, body string
		ok                              bool
	}{
		{"json", "PUT", "application/json", `{}`, true},
		{"json with charset", "PUT", "Application/JSON; charset=utf-8", `{}`, true},
		{"json and empty", "PUT", "application/json", ``, true},
		{"form and empty", "PUT", "application/x-www-form-urlencoded", ``, true},
		{"none and empty", "POST", "", ``, true},
		{"form and body", "POST", "application/x-www-form-urlencoded", `a=b`, false},
		{"none and body", "PUT", "", `{}`, false},
		{"text", "PUT", "text/plain", `{}`, false},
		{"malformed", "PUT", "application/json;;=", `{}`, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(*testing.T) {
			res := g.api(test.method, "create", test.body, "Content-Type", test.contentType)
			if test.ok {
				res.session()
				return
			}
			res.fails(400, "invalid_content_type",
				test.method+` requests must have Content-Type header with "application/json"`)
		})
	}
}

func TestMalformedBodies(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, body := range []string{
		`{`, ` `, `{}x`, `{} {}`, `{"a":1,"a":2}`, `{"a":{"b":1,"\u0062":2}}`, "{\"a\":\"\xff\"}", `{'a':1}`,
		strings.Repeat("[", 20_000), "\ufeff{}",
	} {
		e := g.api("POST", "list", body).fails(400, "invalid_input", "Invalid JSON")
		if _, present := e["validation_errors"]; present {
			t.Errorf("validation errors in %v", e)
		}
	}
}

func TestBodySize(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	fill := func(size int) string { return `{}` + strings.Repeat(" ", size-2) }
	g.api("POST", "list", fill(1<<20)).ok()
	for _, size := range []int{1<<20 + 1, 6 << 20} {
		g.api("POST", "list", fill(size)).fails(413, "payload_too_large", "Request body is larger than 1 MiB")
	}
}

func TestQueryErrors(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	tests := []struct{ method, target, message string }{
		{"GET", "list?page=2", "Unrecognized query parameter: 'page'"},
		{"GET", "get?_strict=true&user_identifier_key=a&user_identifier_key=b", "Repeated query parameter: 'user_identifier_key'"},
		{"PUT", "create?user_identifier_key=a", "Unrecognized query parameter: 'user_identifier_key'"},
		{"GET", "list?client_session_id=%zz", "Invalid query string"},
		{"GET", "list?client_session_id=%ff", "Invalid query string"},
	}
	for _, test := range tests {
		g.api(test.method, test.target, "").fails(400, "invalid_query_params", test.message)
	}
}

// Each request fails the check of its row and all later ones.
func TestOrderOfChecks(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	key := []string{"Authorization", "Bearer " + sandbox.APIKey}
	form := []string{"Content-Type", "text/plain"}
	const malformed = `{`
	g.send("PUT", "/x", malformed, form...).fails(404, "not_found", "Not found")
	g.send("PUT", "/client_sessions/get?x=", malformed, form...).fails(405, "method_not_allowed", "only GET,POST accepted")
	g.send("POST", "/client_sessions/get?x=", malformed, form...).
		fails(401, "unauthorized", "No authentication methods succeeded")
	g.send("POST", "/client_sessions/get?x=", malformed, append(form, key...)...).
		fails(400, "invalid_content_type", `POST requests must have Content-Type header with "application/json"`)
	g.send("POST", "/client_sessions/get?x=", malformed, key...).fails(400, "invalid_input", "Invalid JSON")
	g.send("POST", "/client_sessions/get?x=", `{"y":1}`, key...).
		fails(400, "invalid_query_params", "Unrecognized query parameter: 'x'")
	g.send("POST", "/client_sessions/get", `{"y":1}`, key...).
		fails(400, "invalid_input", "Unrecognized key(s) in object: 'y'")
	g.send("POST", "/client_sessions/get", `{}`, key...).
		fails(400, "invalid_input", "Either client_session_id or user_identifier_key must be provided")
}
