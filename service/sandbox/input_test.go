package sandbox_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

const notFound = "404 not_found: Not found"

func invalid(message string) string { return "400 invalid_input: " + message }

func invalidQuery(message string) string { return "400 invalid_query_params: " + message }

func noJSON(method string) string {
	return "400 invalid_content_type: " + method + ` requests must have Content-Type header with "application/json"`
}

// TestMethods shows with which methods each endpoint is called, and that its parameters are in the body or in the query.
func TestMethods(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for endpoint, methods := range map[string]string{
		"create": "POST,PUT", "get": "GET,POST", "get_or_create": "POST", "list": "GET,POST",
		"grant_access": "PATCH,POST", "revoke": "POST", "delete": "DELETE,POST",
	} {
		body, query := byID(sandbox.SessionID), "?client_session_id="+sandbox.SessionID+"&_strict=true"
		if endpoint == "create" || endpoint == "get_or_create" {
			body, query = "{}", "?_strict=true"
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "QUERY"} {
			if !slices.Contains(strings.Split(methods, ","), method) {
				g.send(method, "/client_sessions/"+endpoint, "").fails(refused)
				res := g.send(method, "/client_sessions/"+endpoint, "", withKey()...)
				res.fails("405 method_not_allowed: only " + methods + " accepted")
				if got := res.header.Get("Allow"); got != strings.ReplaceAll(methods, ",", ", ") {
					t.Errorf("Allow is %q", got)
				}
				continue
			}
			for _, slashes := range []string{"/", "//", "///"} {
				g.Reset()
				g.send(method, slashes+"client_sessions/"+endpoint, body, withKey()...).ok()
				g.Reset()
				g.send(method, slashes+"client_sessions/"+endpoint+query, "", withKey()...).ok()
			}
		}
	}
	g.Reset()
	g.api("POST", "get?client_session_id=00000000-0000-0000-0000-000000000000", byID(sandbox.SessionID)).ok()
	grant := "grant_access?client_session_id=" + sandbox.SessionID + "&connected_account_ids="
	g.api("PATCH", grant+"a&connected_account_ids=b,c", "").session(`{"connected_account_ids":["a","b,c"]}`)
	g.api("PATCH", grant, "").session(`{"connected_account_ids":["a","b,c"]}`)
}

func TestRefusals(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, path := range []string{
		"/", "/client_sessions", "/client_sessions/", "/client_sessions/get/", "/client_sessions//get",
		"/client_sessions/../client_sessions/get", "/devices/list",
	} {
		g.send("GET", path, "").fails(notFound)
	}
	for contentType, want := range map[string]string{
		"application/json": allowed, "Application/JSON; charset=utf-8": allowed,
		"application/x-www-form-urlencoded": noJSON("PUT"), "": noJSON("PUT"), "text/plain": noJSON("PUT"),
		"application/json;;=": noJSON("PUT"),
	} {
		g.api("PUT", "create", `{}`, "Content-Type", contentType).responds(want)
		g.api("PUT", "create", ``, "Content-Type", contentType).ok()
	}
	for _, body := range []string{
		`{`, ` `, `{}x`, `{} {}`, `{"a":1,"a":2}`, `{"a":{"b":1,"\u0062":2}}`, "{\"a\":\"\xff\"}", `{'a':1}`,
		strings.Repeat("[", 20_000), "\ufeff{}",
	} {
		if e := g.api("POST", "list", body).fails(invalid("Invalid JSON")); e["validation_errors"] != nil {
			t.Errorf("validation errors in %v", e)
		}
	}
	fill := func(size int) string { return `{}` + strings.Repeat(" ", size-2) }
	g.api("POST", "list", fill(1<<20)).ok()
	for _, size := range []int{1<<20 + 1, 6 << 20} {
		g.api("POST", "list", fill(size)).fails("413 payload_too_large: Request body is larger than 1 MiB")
	}
	for _, test := range []struct{ method, target, message string }{
		{"GET", "list?page=2", "Unrecognized query parameter: 'page'"},
		{"GET", "get?_strict=true&user_identifier_key=a&user_identifier_key=b", "Repeated query parameter: 'user_identifier_key'"},
		{"PUT", "create?user_identifier_key=a", "Unrecognized query parameter: 'user_identifier_key'"},
		{"GET", "list?client_session_id=%zz", "Invalid query string"},
		{"GET", "list?client_session_id=%ff", "Invalid query string"},
	} {
		g.api(test.method, test.target, "").fails(invalidQuery(test.message))
	}
}

// Each request fails the check of its row and all later ones.
func TestOrderOfChecks(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	key, form := withKey(), []string{"Content-Type", "text/plain"}
	for _, test := range []struct {
		method, target, body string
		headers              []string
		want                 string
	}{
		{"PUT", "/x", `{`, form, notFound},
		{"POST", "/client_sessions/%6Cist", `{}`, key, notFound},
		{"PUT", "/client_sessions/get?x=", `{`, form, refused},
		{"PUT", "/client_sessions/get?x=", `{`, withKey(form...), "405 method_not_allowed: only GET,POST accepted"},
		{"POST", "/client_sessions/get?x=", `{`, withKey(form...), noJSON("POST")},
		{"POST", "/client_sessions/get?x=", `{`, key, invalid("Invalid JSON")},
		{"POST", "/client_sessions/get?x=", `{"y":1}`, key, invalidQuery("Unrecognized query parameter: 'x'")},
		{"POST", "/client_sessions/get", `{"y":1}`, key, invalid("Unrecognized key(s) in object: 'y'")},
		{"POST", "/client_sessions/get", `{}`, key, sessionNotFound},
	} {
		g.send(test.method, test.target, test.body, test.headers...).fails(test.want)
	}
}

// violation is the message of an error and its tree, which is empty when there is no member for it.
type violation struct{ message, tree string }

func whole(message string) violation { return violation{message, `{"_errors":["` + message + `"]}`} }

func ofField(field, message string) violation {
	return violation{message + ` for "` + field + `"`, `{"_errors":[],"` + field + `":{"_errors":["` + message + `"]}}`}
}

func TestValidation(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	required := violation{`client_session_id is required`, `{"_errors":[],"client_session_id":{"_errors":["Required"]}}`}
	noSelector := violation{`Either client_session_id or user_identifier_key must be provided`, ``}
	for _, test := range []struct {
		method, target, body string
		want                 violation
	}{
		{"POST", "revoke", `{}`, required},
		{"DELETE", "delete", ``, required},
		{"DELETE", "delete?client_session_id=abc&_strict=true", ``, ofField("client_session_id", "Invalid uuid")},
		// Braces instead of the hyphens, and other characters.
		{"GET", "get?client_session_id=%7B3ada79d328484320b2efa82e1e6dafac%7D", ``, ofField("client_session_id", "Invalid uuid")},
		{"GET", "get?client_session_id=3ada79d3a2848a4320ab2efaa82e1e6dafac", ``, ofField("client_session_id", "Invalid uuid")},
		{"POST", "get", `{"user_identifier_key":null}`, ofField("user_identifier_key", "Expected string, received null")},
		{"GET", "get?user_identifier_key=", ``, ofField("user_identifier_key", "String must contain at least 1 character(s)")},
		{
			"GET", "list?without_user_identifier_key=yes", ``,
			ofField("without_user_identifier_key", "Expected boolean, received string"),
		},
		{"POST", "list", `[1]`, whole(`Expected object, received array`)},
		{"POST", "list?client_session_id=a", `null`, whole(`Expected object, received null`)},
		{"POST", "get_or_create", `{"customer_key":"a","customer_id":"b"}`, whole(`Unrecognized key(s) in object: 'customer_key', 'customer_id'`)},
		{"PATCH", "grant_access", `{"a":1}`, whole(`Unrecognized key(s) in object: 'a'`)},
		{"POST", "grant_access", ``, whole(`At least one parameter must be provided`)},
		{"PATCH", "grant_access?connect_webview_ids=", `{"connected_account_ids":[]}`, whole(`At least one parameter must be provided`)},
		{"PATCH", "grant_access", `{"connected_account_ids":["a"]}`, noSelector},
		{
			"POST", "list", `{"zeta":1,"client_session_id":7,"alpha":{}}`,
			violation{
				`2 Input Errors: Expected string, received number for "client_session_id", Unrecognized key(s) in object: 'zeta', 'alpha'`,
				`{"_errors":["Unrecognized key(s) in object: 'zeta', 'alpha'"],` +
					`"client_session_id":{"_errors":["Expected string, received number"]}}`,
			},
		},
		{ // Everything of a grant.
			"PATCH", "grant_access",
			`{"user_identity_ids":["a",false],"user_identity_id":true,"connected_account_ids":["a",1,"b",null,[],{}],` +
				`"connect_webview_ids":"a","user_identifier_key":"","client_session_id":{}}`,
			violation{
				`10 Input Errors: Expected string, received object for "client_session_id", ` +
					`String must contain at least 1 character(s) for "user_identifier_key", ` +
					`Expected array, received string for "connect_webview_ids", ` +
					`Expected string, received number for "connected_account_ids.1", ` +
					`Expected string, received null for "connected_account_ids.3", ` +
					`Expected string, received array for "connected_account_ids.4", ` +
					`Expected string, received object for "connected_account_ids.5", ` +
					`Expected string, received boolean for "user_identity_id", ` +
					`Array must contain exactly 1 element(s) for "user_identity_ids", ` +
					`Expected string, received boolean for "user_identity_ids.1"`,
				`{"_errors":[],"client_session_id":{"_errors":["Expected string, received object"]},` +
					`"user_identifier_key":{"_errors":["String must contain at least 1 character(s)"]},` +
					`"connect_webview_ids":{"_errors":["Expected array, received string"]},` +
					`"connected_account_ids":{"_errors":[],"1":{"_errors":["Expected string, received number"]},` +
					`"3":{"_errors":["Expected string, received null"]},"4":{"_errors":["Expected string, received array"]},` +
					`"5":{"_errors":["Expected string, received object"]}},` +
					`"user_identity_id":{"_errors":["Expected string, received boolean"]},` +
					`"user_identity_ids":{"_errors":["Array must contain exactly 1 element(s)"],` +
					`"1":{"_errors":["Expected string, received boolean"]}}}`,
			},
		},
		{ // A create in its order.
			"PUT", "create",
			`{"user_identity_ids":["a"],"user_identity_id":"b","expires_at":"2026-01-01","customer_key":"","customer_id":1}`,
			violation{
				`5 Input Errors: Expected string, received number for "customer_id", ` +
					`String must contain at least 1 character(s) for "customer_key", ` +
					`Invalid datetime for "expires_at", Invalid uuid for "user_identity_id", ` +
					`Invalid uuid for "user_identity_ids.0"`,
				`{"_errors":[],"customer_id":{"_errors":["Expected string, received number"]},` +
					`"customer_key":{"_errors":["String must contain at least 1 character(s)"]},` +
					`"expires_at":{"_errors":["Invalid datetime"]},"user_identity_id":{"_errors":["Invalid uuid"]},` +
					`"user_identity_ids":{"_errors":[],"0":{"_errors":["Invalid uuid"]}}}`,
			},
		},
	} {
		e := g.api(test.method, test.target, test.body).fails(invalid(test.want.message))
		tree, present := e["validation_errors"]
		if present != (test.want.tree != "") {
			t.Errorf("%s %s: validation errors %v", test.target, test.body, tree)
		} else if present {
			sameJSON(t, tree, test.want.tree)
		}
	}
}

func TestDatetimes(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for text, want := range map[string]string{
		"2030-01-02T03:04:05Z":         "2030-01-02T03:04:05.000Z",
		"2030-01-02T03:04:05.9999999Z": "2030-01-02T03:04:05.999Z",
		"2030-01-02T03:04:05.5+02:00":  "2030-01-02T01:04:05.500Z",
		"2030-01-02T03:04:05":          "",
		"2030-01-02 03:04:05Z":         "",
		"2030-01-02T3:04:05Z":          "",
		"2030-01-02T03:04:05,678Z":     "",
		"2030-02-30T03:04:05Z":         "",
		"9999-12-31T23:59:59Z":         "9999-12-31T23:59:59.000Z",
		"9999-12-31T23:59:59-01:00":    "",
		"0000-12-31T23:59:59-01:00":    "0001-01-01T00:59:59.000Z",
		"0000-12-31T23:59:59Z":         "",
	} {
		res := g.api("POST", "create", `{"expires_at":"`+text+`"}`)
		if want == "" {
			res.fails(invalid(`Invalid datetime for "expires_at"`))
		} else {
			res.session(`{"expires_at":"` + want + `"}`)
		}
	}
}
