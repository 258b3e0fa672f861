package sandbox_test

import (
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func TestValidation(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	tests := []struct {
		name, method, target, body string
		message, tree              string // tree is empty when there is no member for it.
	}{
		{
			"required", "POST", "revoke", `{}`,
			`client_session_id is required`,
			`{"_errors":[],"client_session_id":{"_errors":["Required"]}}`,
		},
		{
			"required by query", "DELETE", "delete", ``,
			`client_session_id is required`,
			`{"_errors":[],"client_session_id":{"_errors":["Required"]}}`,
		},
		{
			"uuid", "DELETE", "delete?client_session_id=abc&_strict=true", ``,
			`Invalid uuid for "client_session_id"`,
			`{"_errors":[],"client_session_id":{"_errors":["Invalid uuid"]}}`,
		},
		{
			"uuid with braces", "GET", "get?client_session_id=%7B3ada79d328484320b2efa82e1e6dafac%7D", ``,
			`Invalid uuid for "client_session_id"`,
			`{"_errors":[],"client_session_id":{"_errors":["Invalid uuid"]}}`,
		},
		{
			"uuid without its hyphens", "GET", "get?client_session_id=3ada79d3a2848a4320ab2efaa82e1e6dafac", ``,
			`Invalid uuid for "client_session_id"`,
			`{"_errors":[],"client_session_id":{"_errors":["Invalid uuid"]}}`,
		},
		{
			"null", "POST", "get", `{"user_identifier_key":null}`,
			`Expected string, received null for "user_identifier_key"`,
			`{"_errors":[],"user_identifier_key":{"_errors":["Expected string, received null"]}}`,
		},
		{
			"empty key in a query", "GET", "get?user_identifier_key=", ``,
			`String must contain at least 1 character(s) for "user_identifier_key"`,
			`{"_errors":[],"user_identifier_key":{"_errors":["String must contain at least 1 character(s)"]}}`,
		},
		{
			"boolean in a query", "GET", "list?without_user_identifier_key=yes", ``,
			`Expected boolean, received string for "without_user_identifier_key"`,
			`{"_errors":[],"without_user_identifier_key":{"_errors":["Expected boolean, received string"]}}`,
		},
		{
			"root array", "POST", "list", `[1]`,
			`Expected object, received array`, `{"_errors":["Expected object, received array"]}`,
		},
		{
			"root null and a query", "POST", "list?client_session_id=a", `null`,
			`Expected object, received null`, `{"_errors":["Expected object, received null"]}`,
		},
		{
			"unknown members", "POST", "list", `{"zeta":1,"client_session_id":7,"alpha":{}}`,
			`2 Input Errors: Expected string, received number for "client_session_id", ` +
				`Unrecognized key(s) in object: 'zeta', 'alpha'`,
			`{"_errors":["Unrecognized key(s) in object: 'zeta', 'alpha'"],` +
				`"client_session_id":{"_errors":["Expected string, received number"]}}`,
		},
		{
			"everything of a grant", "PATCH", "grant_access",
			`{"user_identity_ids":["a",false],"user_identity_id":true,"connected_account_ids":["a",1,"b",null,[],{}],` +
				`"connect_webview_ids":"a","user_identifier_key":"","client_session_id":{}}`,
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
		{
			"create in its order", "PUT", "create",
			`{"user_identity_ids":["a"],"user_identity_id":"b","expires_at":"2026-01-01","customer_key":"","customer_id":1}`,
			`5 Input Errors: Expected string, received number for "customer_id", ` +
				`String must contain at least 1 character(s) for "customer_key", ` +
				`Invalid datetime for "expires_at", Invalid uuid for "user_identity_id", ` +
				`Invalid uuid for "user_identity_ids.0"`,
			`{"_errors":[],"customer_id":{"_errors":["Expected string, received number"]},` +
				`"customer_key":{"_errors":["String must contain at least 1 character(s)"]},` +
				`"expires_at":{"_errors":["Invalid datetime"]},"user_identity_id":{"_errors":["Invalid uuid"]},` +
				`"user_identity_ids":{"_errors":[],"0":{"_errors":["Invalid uuid"]}}}`,
		},
		{
			"get_or_create has no customer", "POST", "get_or_create", `{"customer_key":"a","customer_id":"b"}`,
			`Unrecognized key(s) in object: 'customer_key', 'customer_id'`,
			`{"_errors":["Unrecognized key(s) in object: 'customer_key', 'customer_id'"]}`,
		},
		{
			"grant of nothing", "POST", "grant_access", ``,
			`At least one parameter must be provided`, `{"_errors":["At least one parameter must be provided"]}`,
		},
		{
			"grant of empty lists", "PATCH", "grant_access?connect_webview_ids=", `{"connected_account_ids":[]}`,
			`At least one parameter must be provided`, `{"_errors":["At least one parameter must be provided"]}`,
		},
		{
			"grant of an unknown member", "PATCH", "grant_access", `{"a":1}`,
			`Unrecognized key(s) in object: 'a'`, `{"_errors":["Unrecognized key(s) in object: 'a'"]}`,
		},
		{
			"grant without a session", "PATCH", "grant_access", `{"connected_account_ids":["a"]}`,
			`Either client_session_id or user_identifier_key must be provided`, ``,
		},
		{
			"get without a session", "GET", "get", ``,
			`Either client_session_id or user_identifier_key must be provided`, ``,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := g.api(test.method, test.target, test.body).fails(400, "invalid_input", test.message)
			tree, present := e["validation_errors"]
			if test.tree == "" {
				if present {
					t.Errorf("validation errors %v", tree)
				}
				return
			}
			sameJSON(t, tree, test.tree)
		})
	}
}

func TestDatetimes(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	tests := map[string]string{
		"2030-01-02T03:04:05Z":             "2030-01-02T03:04:05.000Z",
		"2030-01-02T03:04:05.678912Z":      "2030-01-02T03:04:05.678Z",
		"2030-01-02T03:04:05.9999999Z":     "2030-01-02T03:04:05.999Z",
		"2030-01-02T03:04:05.5+02:00":      "2030-01-02T01:04:05.500Z",
		"2030-01-02T03:04:05":              "",
		"2030-01-02 03:04:05Z":             "",
		"2030-01-02T3:04:05Z":              "",
		"2030-01-02T03:04:05,678Z":         "",
		"2030-02-30T03:04:05Z":             "",
		"Wed, 02 Jan 2030 03:04:05 +0000Z": "",
	}
	for text, want := range tests {
		res := g.api("POST", "create", `{"expires_at":"`+text+`"}`)
		if want == "" {
			res.fails(400, "invalid_input", `Invalid datetime for "expires_at"`)
		} else if got := res.session()["expires_at"]; got != want {
			t.Errorf("%s became %v", text, got)
		}
	}
}
