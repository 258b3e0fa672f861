package rest_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// TestOpenAPIResponses shows that the responses of the service are those of the document: each success to the letter,
// and each error with its type among those of its status, or without a body where the document declares no content.
func TestOpenAPIResponses(t *testing.T) {
	t.Parallel()
	const get, create = "/client_sessions/get", "/client_sessions/create"
	const keyless = `{"client_session_id":"` + sandbox.KeylessSessionID + `"}`
	const unknown = `{"client_session_id":"00000000-0000-4000-8000-000000000000"}`
	const taken = `{"user_identifier_key":"` + sandbox.UserIdentifierKey + `"}`
	const teapot = `{"error":{"type":"teapot","message":"m"},"ok":false}`
	large := `{"user_identifier_key":"` + strings.Repeat("a", 130<<10) + `"}`
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	publishable := []string{"Authorization", "", "seam-publishable-key", sandbox.PublishableKey}
	plain := []string{"Content-Type", "text/plain"}
	page := func(status int) *sandbox.Fault {
		return &sandbox.Fault{Status: status, Body: "<html>", ContentType: "text/html"}
	}
	reset := &sandbox.Fault{Disconnect: sandbox.DisconnectReset}
	h := start(t)
	for name, route := range openAPIRoutes() {
		t.Run(name, func(t *testing.T) {
			h.sandbox.Reset()
			path, body := route.form(route.example)
			got := h.send(route.method, path, body)
			if err := validate(t, route.method, path, body, got); err != nil || got.status != http.StatusOK {
				t.Errorf("%d %s: %v", got.status, got.text, err)
			}
			if !strings.Contains(got.text, `"token"`) {
				return
			}
			for _, broken := range []string{`"token"`, `"device_count"`, `"user_identifier_key"`, `"client_session_id"`} {
				lesser := got
				lesser.text = strings.ReplaceAll(got.text, broken, `"x"`)
				if validate(t, route.method, path, body, lesser) == nil {
					t.Errorf("a response without %s is allowed", broken)
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
		{"session without a key", "POST", get, keyless, 200, "", nil, nil},
		{"all sessions", "GET", "/client_sessions/list", "", 200, "", nil, nil},
		{"invalid input", "PATCH", grantPath, `{"connect_webview_ids":[1]}`, 400, "invalid_input", nil, nil},
		{"a list", "PATCH", grantPath, `{"user_identity_ids":["a","b"]}`, 400, "invalid_input", nil, nil},
		{"no JSON", "PATCH", grantPath, `{`, 400, "invalid_input", nil, nil},
		{"another type", "PATCH", grantPath, `{}`, 400, "invalid_content_type", plain, nil},
		{"unknown parameter", "GET", get + "?x=1", "", 400, "invalid_query_params", nil, nil},
		{"taken", "POST", create, taken, 400, "client_session_token_already_exists", nil, nil},
		{"no credential", "PATCH", grantPath, byID, 401, "unauthorized", []string{"Authorization", ""}, nil},
		{"unknown key", "PATCH", grantPath, byID, 401, "unauthorized", bearer("seam_x"), nil},
		{"revoked token", "GET", get, "", 401, "client_session_revoked", bearer(sandbox.RevokedSessionToken), nil},
		{"expired token", "GET", get, "", 401, "client_session_expired", bearer(sandbox.ExpiredSessionToken), nil},
		{
			"publishable key with resources", "PUT", create, `{"user_identifier_key":"k","connected_account_ids":["a"]}`,
			403, "publishable_keys_must_create_empty_client_sessions", publishable, nil,
		},
		{
			"publishable key without a user", "PUT", create, `{}`,
			401, "publishable_key_requires_user_identifier_key", publishable, nil,
		},
		{"no such session", "PATCH", grantPath, unknown, 404, "client_session_not_found", nil, nil},
		{"nothing to revoke", "POST", "/client_sessions/revoke", unknown, 404, "client_session_not_found", nil, nil},
		{"too large", "PATCH", grantPath, large, 413, "payload_too_large", nil, nil},
		{"unknown outcome", "POST", create, `{}`, 424, "upstream_unreachable", nil, reset},
		{"rate limit", "PATCH", grantPath, byID, 429, "", nil, &sandbox.Fault{RateLimit: true, RetryAfter: 7}},
		{"connection lost", "PATCH", grantPath, byID, 503, "upstream_unreachable", nil, reset},
		{"outage", "PATCH", grantPath, byID, 503, "", nil, &sandbox.Fault{Status: 503}},
		{"a failure's page", "PATCH", grantPath, byID, 500, "", nil, page(500)},
		{"a gateway's page", "PATCH", grantPath, byID, 502, "", nil, page(502)},
		{"a page after a timeout", "PATCH", grantPath, byID, 504, "", nil, page(504)},
		{"another page", "PATCH", grantPath, byID, 520, "", nil, page(520)},
		{"odd status", "PATCH", grantPath, byID, 418, "", nil, &sandbox.Fault{Status: 418, Body: teapot}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.sandbox.Reset()
			if c.fault != nil {
				h.must(h.sandbox.Inject(*c.fault))
			}
			got := h.send(c.method, c.path, c.body, c.header...)
			if got.status != c.status {
				t.Fatalf("it gets %d %s", got.status, got.text)
			}
			if err := validate(t, c.method, c.path, c.body, got); err != nil {
				t.Errorf("%d %s: %v", got.status, got.text, err)
			}
			if c.kind == "" {
				return
			}
			operation := validatorInput(t, c.method, c.path, c.body).Route.Operation
			if !lists(operation, got.status, c.kind) || got.failure(t)["type"] != c.kind {
				t.Errorf("%d %s is not among the types of the document", got.status, got.text)
			}
		})
	}
}

// validate returns why a response is not one of the document.
func validate(t *testing.T, method, path, body string, got response) error {
	t.Helper()
	input := validatorInput(t, method, path, body)
	err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(got.text)),
	})
	responses := input.Route.Operation.Responses
	if declared := cmp.Or(responses.Status(got.status), responses.Default()).Value; err != nil || declared.Content != nil ||
		got.text == "" {
		return err
	}
	var undeclared any
	if err := json.Unmarshal([]byte(got.text), &undeclared); err != nil {
		return err
	}
	return document().Components.Schemas["Error"].Value.VisitJSON(undeclared)
}

// lists says whether the document has a type of error among the examples of a status, or in its words where it declares
// no content.
func lists(operation *openapi3.Operation, httpStatus int, kind string) bool {
	response := operation.Responses.Status(httpStatus)
	if response == nil {
		return false
	}
	if response.Value.Content == nil {
		return strings.Contains(*response.Value.Description, "`"+kind+"`")
	}
	return response.Value.Content["application/json"].Examples[kind] != nil
}

// TestOpenAPIErrors shows that the document lists the errors of the service's own for every route, also those that take
// an outage or a flood.
func TestOpenAPIErrors(t *testing.T) {
	for name, route := range openAPIRoutes() {
		for _, e := range []*seamerr.Error{
			seamerr.InvalidJSON(nil), seamerr.InvalidContentType(""), seamerr.InvalidQuery(), seamerr.InvalidHeader(""),
			seamerr.Unauthorized(), seamerr.Forbidden(""), seamerr.CrossOrigin(), seamerr.RequestTimeout(nil),
			seamerr.PayloadTooLarge(0), seamerr.CallerRateLimited(0), seamerr.Internal(nil),
			seamerr.ServiceCredentialRefused(&seamerr.Error{}), seamerr.ProxyRefused(), seamerr.CircuitOpen(0, nil),
			seamerr.Overloaded(0), seamerr.InvalidResponse(nil), seamerr.Unreachable(nil), seamerr.Timeout(nil),
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
	const all = `{"customer_key":"c","user_identity_id":"` + sandbox.UserIdentityID + `"}`
	got := start(t).send(http.MethodPut, "/client_sessions/create", all)
	for name := range document().Components.Schemas["ClientSession"].Value.Properties {
		if !strings.Contains(got.text, `"`+name+`":`) {
			t.Errorf("there is no %s in %s", name, got.text)
		}
	}
}
