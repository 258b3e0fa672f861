package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// TestOpenAPIResponses shows that the responses of the service are those of the document: each success to the letter, and
// each error with its type among the examples of its status.
func TestOpenAPIResponses(t *testing.T) {
	t.Parallel()
	unknown := `{"client_session_id":"00000000-0000-4000-8000-000000000000"}`
	keyless := `{"client_session_id":"` + sandbox.KeylessSessionID + `"}`
	all := start(t).openAPI()
	for name, route := range all.routes() {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			o := openAPI{t, all.document, all.router}
			path, body := route.form(route.example)
			got := h.send(route.method, path, body)
			if err := o.response(route.method, path, body, got); err != nil || got.status != http.StatusOK {
				t.Errorf("%d %s: %v", got.status, got.text, err)
			}
			if strings.Contains(got.text, `"token"`) {
				for _, broken := range []string{`"token"`, `"device_count"`, `"user_identifier_key"`, `"client_session_id"`} {
					lesser := got
					lesser.text = strings.ReplaceAll(got.text, broken, `"x"`)
					if o.response(route.method, path, body, lesser) == nil {
						t.Errorf("a response without %s is allowed", broken)
					}
				}
			}
		})
	}
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		kind                     string
		header                   []string
		fault                    *sandbox.Fault
	}{
		{"session without a key", http.MethodPost, "/client_sessions/get", keyless, 200, "", nil, nil},
		{"all sessions", http.MethodGet, "/client_sessions/list", "", 200, "", nil, nil},
		{"invalid input", http.MethodPatch, grantPath, `{"connect_webview_ids":[1]}`, 400, "invalid_input", nil, nil},
		{"a list", http.MethodPatch, grantPath, `{"user_identity_ids":["a","b"]}`, 400, "invalid_input", nil, nil},
		{"no JSON", http.MethodPatch, grantPath, `{`, 400, "invalid_input", nil, nil},
		{"another type", http.MethodPatch, grantPath, `{}`, 400, "invalid_content_type", []string{"Content-Type", "text/plain"}, nil},
		{"unknown parameter", http.MethodGet, "/client_sessions/get?x=1", "", 400, "invalid_query_params", nil, nil},
		{"taken", http.MethodPost, "/client_sessions/create", `{"user_identifier_key":"jane_doe"}`, 400, "client_session_token_already_exists", nil, nil},
		{"no credential", http.MethodPatch, grantPath, byID, 401, "unauthorized", []string{"Authorization", ""}, nil},
		{"unknown key", http.MethodPatch, grantPath, byID, 401, "unauthorized", []string{"Authorization", "Bearer seam_x"}, nil},
		{"revoked token", http.MethodGet, "/client_sessions/get", "", 401, "client_session_revoked", []string{"Authorization", "Bearer " + sandbox.RevokedSessionToken}, nil},
		{"expired token", http.MethodGet, "/client_sessions/get", "", 401, "client_session_expired", []string{"Authorization", "Bearer " + sandbox.ExpiredSessionToken}, nil},
		{"publishable key with resources", http.MethodPut, "/client_sessions/create", `{"user_identifier_key":"k","connected_account_ids":["a"]}`, 403, "publishable_keys_must_create_empty_client_sessions", []string{"Authorization", "", "seam-publishable-key", sandbox.PublishableKey}, nil},
		{"publishable key without a user", http.MethodPut, "/client_sessions/create", `{}`, 401, "publishable_key_requires_user_identifier_key", []string{"Authorization", "", "seam-publishable-key", sandbox.PublishableKey}, nil},
		{"no such session", http.MethodPatch, grantPath, unknown, 404, "client_session_not_found", nil, nil},
		{"nothing to revoke", http.MethodPost, "/client_sessions/revoke", unknown, 404, "client_session_not_found", nil, nil},
		{"too large", http.MethodPatch, grantPath, `{"user_identifier_key":"` + strings.Repeat("a", 130<<10) + `"}`, 413, "payload_too_large", nil, nil},
		{"unknown outcome", http.MethodPost, "/client_sessions/create", `{}`, 424, "upstream_unreachable", nil, &sandbox.Fault{Disconnect: sandbox.DisconnectReset}},
		{"rate limit", http.MethodPatch, grantPath, byID, 429, "", nil, &sandbox.Fault{RateLimit: true, RetryAfter: 7}},
		{"connection lost", http.MethodPatch, grantPath, byID, 503, "upstream_unreachable", nil, &sandbox.Fault{Disconnect: sandbox.DisconnectReset}},
		{"outage", http.MethodPatch, grantPath, byID, 503, "", nil, &sandbox.Fault{Status: 503}},
		{"odd status", http.MethodPatch, grantPath, byID, 418, "", nil, &sandbox.Fault{Status: 418, Body: `{"error":{"type":"teapot","message":"m"},"ok":false}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := start(t)
			o := openAPI{t, all.document, all.router}
			if c.fault != nil {
				if err := h.sandbox.Inject(*c.fault); err != nil {
					t.Fatal(err)
				}
			}
			got := h.send(c.method, c.path, c.body, c.header...)
			if got.status != c.status {
				t.Fatalf("it gets %d %s", got.status, got.text)
			}
			if err := o.response(c.method, c.path, c.body, got); err != nil && got.text != "" {
				t.Errorf("%d %s: %v", got.status, got.text, err)
			}
			if c.kind == "" {
				return
			}
			if operation := o.input(c.method, c.path, c.body).Route.Operation; !lists(operation, got.status, c.kind) || got.failure(t)["type"] != c.kind {
				t.Errorf("%d %s is not among the examples of the document", got.status, got.text)
			}
		})
	}
}

// lists says whether the document has a type of error among the examples of a status.
func lists(operation *openapi3.Operation, httpStatus int, kind string) bool {
	response := operation.Responses.Status(httpStatus)
	return response != nil && response.Value.Content["application/json"].Examples[kind] != nil
}

// TestOpenAPIErrors shows that the document lists the errors of the service's own for every route, also those that take
// an outage or a flood.
func TestOpenAPIErrors(t *testing.T) {
	t.Parallel()
	for name, route := range start(t).openAPI().routes() {
		for _, e := range []*seamerr.Error{
			seamerr.InvalidJSON(nil), seamerr.InvalidContentType(""), seamerr.InvalidQuery(), seamerr.InvalidHeader(""),
			seamerr.Unauthorized(), seamerr.Forbidden(""), seamerr.CrossOrigin(), seamerr.RequestTimeout(nil), seamerr.PayloadTooLarge(0),
			seamerr.CallerRateLimited(0), seamerr.Internal(nil), seamerr.ServiceCredentialRefused(&seamerr.Error{}), seamerr.ProxyRefused(),
			seamerr.InvalidResponse(nil), seamerr.Unreachable(nil), seamerr.CircuitOpen(0), seamerr.Overloaded(0), seamerr.Timeout(nil),
			seamerr.InvalidResponse(nil).WithUnknownOutcome(false), seamerr.Unreachable(nil).WithUnknownOutcome(false),
			seamerr.Timeout(nil).WithUnknownOutcome(false),
		} {
			if !lists(route.operation, e.HTTPStatus, e.Type) {
				t.Errorf("%s lacks %d %s", name, e.HTTPStatus, e.Type)
			}
		}
	}
}

// TestOpenAPISession shows that a session has all members of the document, by their names.
func TestOpenAPISession(t *testing.T) {
	t.Parallel()
	h := start(t)
	got := h.send(http.MethodPut, "/client_sessions/create", `{"customer_key":"c","user_identity_id":"`+sandbox.UserIdentityID+`"}`)
	session, _ := got.members(t)["client_session"].(map[string]any)
	for name := range h.openAPI().document.Components.Schemas["ClientSession"].Value.Properties {
		if _, has := session[name]; !has {
			t.Errorf("there is no %s in %s", name, got.text)
		}
	}
}
