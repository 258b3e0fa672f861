package server_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// openAPI validates requests and responses by the document that the service serves.
type openAPI struct {
	t        *testing.T
	document *openapi3.T
	router   routers.Router
}

func (h *harness) openAPI() openAPI {
	h.t.Helper()
	got := h.send(http.MethodGet, "/openapi.json", "", "Authorization", "", "Content-Type", "")
	document, err := openapi3.NewLoader().LoadFromData([]byte(got.text))
	if err != nil {
		h.t.Fatalf("%d %.100s: %v", got.status, got.text, err)
	}
	if err := document.Validate(h.t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		h.t.Fatal(err)
	}
	router, err := legacy.NewRouter(document)
	if err != nil {
		h.t.Fatal(err)
	}
	return openAPI{h.t, document, router}
}

// input is a request without a credential, for the validator.
func (o openAPI) input(method, path, body string) *openapi3filter.RequestValidationInput {
	o.t.Helper()
	request, err := http.NewRequestWithContext(o.t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	route, _, err := o.router.FindRoute(request)
	if err != nil {
		o.t.Fatalf("%s %s: %v", method, path, err)
	}
	// Without this the validator takes any text for a UUID.
	uuid := openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC9562)
	return &openapi3filter.RequestValidationInput{Request: request, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.WithStringFormatValidator("uuid", uuid)},
	}}
}

// response returns why a response is not one of the document.
func (o openAPI) response(method, path, body string, got restResponse) error {
	o.t.Helper()
	return openapi3filter.ValidateResponse(o.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: o.input(method, path, body),
		Status:                 got.status, Header: got.header, Body: io.NopCloser(strings.NewReader(got.text)),
	})
}

// openAPIRoute is an operation, with the example of its request.
type openAPIRoute struct {
	method, path string
	operation    *openapi3.Operation
	members      openapi3.Schemas
	example      map[string]any
}

// form returns a request with these members, in the form of the route.
func (r openAPIRoute) form(members map[string]any) (path, body string) {
	if r.operation.RequestBody != nil {
		text, _ := json.Marshal(members)
		return r.path, string(text)
	}
	query := url.Values{}
	for name, value := range members {
		query.Set(name, value.(string))
	}
	return r.path + "?" + query.Encode(), ""
}

func (o openAPI) routes() map[string]openAPIRoute {
	routes := map[string]openAPIRoute{}
	for path, item := range o.document.Paths.Map() {
		for method, operation := range item.Operations() {
			request := o.document.Components.Schemas[operation.OperationID+"Request"]
			if request == nil { // The other forms of a method have their HTTP method in the name.
				request = o.document.Components.Schemas[strings.TrimSuffix(operation.OperationID, method[:1]+strings.ToLower(method[1:]))+"Request"]
			}
			routes[method+" "+path] = openAPIRoute{
				method, path, operation, request.Value.Properties, request.Value.Examples[0].(map[string]any),
			}
		}
	}
	return routes
}

// TestOpenAPIRoutes shows that the document has each route of the contract in each of its methods, and no other.
func TestOpenAPIRoutes(t *testing.T) {
	t.Parallel()
	var want []string
	methods := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		rule := proto.GetExtension(methods.Get(i).Options(), annotations.E_Http).(*annotations.HttpRule)
		for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			for method, path := range map[string]string{
				http.MethodGet: binding.GetGet(), http.MethodPut: binding.GetPut(), http.MethodPost: binding.GetPost(),
				http.MethodDelete: binding.GetDelete(), http.MethodPatch: binding.GetPatch(),
			} {
				if path != "" {
					want = append(want, method+" "+path)
				}
			}
		}
	}
	slices.Sort(want)
	got := slices.Sorted(maps.Keys(start(t).openAPI().routes()))
	if !slices.Equal(got, want) || len(got) != 12 {
		t.Errorf("the document has %q, the contract %q", got, want)
	}
}

// TestOpenAPIRequests shows that the document and the service accept the same requests: for each member of each request
// in each form, values of every type, of which the service sends to Seam those that the document allows.
func TestOpenAPIRequests(t *testing.T) {
	t.Parallel()
	h := start(t)
	o := h.openAPI()
	const id = sandbox.SessionID
	values := []any{
		nil, "", "x", id, "2027-11-15T18:00:46.279Z", "2027-11-15T18:00:46+02:00", "2027-11-15", 1, true,
		map[string]any{},
		[]any{},
		[]any{"x"},
		[]any{id},
		[]any{id, id},
		[]any{1},
		[]any{nil},
	}
	accepted, refused := 0, 0
	for name, route := range o.routes() {
		for _, member := range append(slices.Sorted(maps.Keys(route.members)), "unknown_member") {
			for _, value := range values {
				if _, text := value.(string); route.operation.RequestBody == nil && (!text || member == "unknown_member") {
					continue // In a query every value is text, and the validator looks at none that it does not know.
				}
				members := maps.Clone(route.example)
				members[member] = value
				path, body := route.form(members)
				before := len(h.sandbox.Requests())
				got := h.send(route.method, path, body)
				allowed := openapi3filter.ValidateRequest(t.Context(), o.input(route.method, path, body)) == nil
				if sent := len(h.sandbox.Requests()) > before; sent != allowed {
					t.Errorf("%s %s %s: allowed by the document: %t; the service responds with %d %s", name, path, body, allowed, got.status, got.text)
				}
				if allowed {
					accepted++
				} else {
					refused++
				}
			}
		}
	}
	if accepted < 100 || refused < 100 {
		t.Errorf("%d requests were allowed and %d not", accepted, refused)
	}
}

// TestOpenAPICredentials shows that a route takes the credentials that the document has for it and no others.
func TestOpenAPICredentials(t *testing.T) {
	t.Parallel()
	headers := map[string][]string{
		"apiKey":                {"Authorization", "Bearer " + sandbox.APIKey},
		"accessToken workspace": {"Authorization", "Bearer " + sandbox.AccessToken, "seam-workspace", sandbox.WorkspaceID},
		"clientSessionToken":    {"Authorization", "", "client-session-token", sandbox.SessionToken},
		"publishableKey":        {"Authorization", "", "seam-publishable-key", sandbox.PublishableKey},
		"":                      {"Authorization", ""},
	}
	h := start(t)
	o := h.openAPI()
	for name, route := range o.routes() {
		requirements := o.document.Security
		if route.operation.Security != nil {
			requirements = *route.operation.Security
		}
		h.sandbox.Reset()
		path, body := route.form(route.example)
		for schemes, header := range headers {
			want := slices.ContainsFunc(requirements, func(requirement openapi3.SecurityRequirement) bool {
				return strings.Join(slices.Sorted(maps.Keys(requirement)), " ") == schemes
			})
			if got := h.send(route.method, path, body, header...); want == (got.status == http.StatusUnauthorized) {
				t.Errorf("%s with %q gets %d %s", name, schemes, got.status, got.text)
			}
		}
	}
}

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
			response := o.input(c.method, c.path, c.body).Route.Operation.Responses.Status(got.status)
			if _, listed := response.Value.Content["application/json"].Examples[c.kind]; !listed || got.failure(t)["type"] != c.kind {
				t.Errorf("%d %s is not among the examples of the document", got.status, got.text)
			}
		})
	}
}

// TestOpenAPIIsServed shows how the document is served: in both forms, to anybody, and to GET and HEAD alone. A cache may
// keep it, but has to ask whether it is still the same.
func TestOpenAPIIsServed(t *testing.T) {
	t.Parallel()
	h := startWithCredential(t)
	documents := map[string]any{}
	for path, want := range map[string]string{"/openapi.json": "application/json", "/openapi.yaml": "application/yaml"} {
		got := h.send(http.MethodGet, path, "", "Authorization", "")
		etag := got.header.Get("Etag")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != want || got.header.Get("Cache-Control") != "no-cache" || etag == "" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		var document any
		if err := yaml.Unmarshal([]byte(got.text), &document); err != nil { // JSON is YAML too.
			t.Error(err)
		}
		text, _ := json.Marshal(document)
		documents[string(text)] = true
		if again := h.send(http.MethodGet, path, "", "If-None-Match", etag); again.status != http.StatusNotModified || again.text != "" {
			t.Errorf("%s once more: %d %.20s", path, again.status, again.text)
		}
		if head := h.send(http.MethodHead, path, ""); head.status != http.StatusOK || head.header.Get("Etag") != etag || head.text != "" {
			t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
		}
		if post := h.send(http.MethodPost, path, "{}"); post.status != http.StatusMethodNotAllowed || post.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d %v", path, post.status, post.header)
		}
		if page := h.send(http.MethodGet, path, "", "Origin", "https://evil.example"); page.status != http.StatusForbidden {
			t.Errorf("%s for a page of another origin: %d", path, page.status)
		}
	}
	if len(documents) != 1 {
		t.Error("the two forms differ")
	}
	if calls := h.log.calls(t); len(calls) != 0 {
		t.Errorf("it became calls: %v", calls)
	}
}

// TestAPIDocs shows that the API page is there where it is asked for, and allows nothing but itself. The suite in a browser
// shows that it works.
func TestAPIDocs(t *testing.T) {
	t.Parallel()
	paths := map[string]string{
		"/docs": "text/html; charset=utf-8", "/docs/start.js": "text/javascript; charset=utf-8",
		"/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8", "/docs/swagger-ui.css": "text/css; charset=utf-8",
		"/docs/favicon.png": "image/png",
	}
	off, on := start(t), startWithCredential(t, func(cfg *config.Config) { cfg.APIDocs = true })
	for path, want := range paths {
		if got := off.send(http.MethodGet, path, ""); got.status != http.StatusNotFound {
			t.Errorf("%s gets %d where it is off", path, got.status)
		}
		got := on.send(http.MethodGet, path, "", "Authorization", "")
		policy := got.header.Get("Content-Security-Policy")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != want || got.text == "" || got.header.Get("Etag") == "" && !strings.Contains(path, "swagger") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, got.header)
		}
		zipped := on.send(http.MethodGet, path, "", "Accept-Encoding", "gzip")
		if encoding := zipped.header.Get("Content-Encoding"); zipped.status != http.StatusOK || zipped.header.Get("Etag") == "" || (encoding == "gzip") != strings.Contains(path, "swagger") {
			t.Errorf("%s compressed: %d %v", path, zipped.status, zipped.header)
		}
		if post := on.send(http.MethodPost, path, ""); post.status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, post.status)
		}
	}
	// The page's own calls are those of no other origin, and those of others are refused as ever.
	same := []string{"Origin", "http://" + on.at.HTTP, "Sec-Fetch-Site", "same-origin", "Authorization", "Bearer " + ordersToken}
	if got := on.grant(byID, same...); got.status != http.StatusOK {
		t.Errorf("a call of the page gets %d %s", got.status, got.text)
	}
	if got := on.grant(byID, "Origin", "https://evil.example", "Authorization", "Bearer "+ordersToken); got.status != http.StatusForbidden {
		t.Errorf("a call of another page gets %d %s", got.status, got.text)
	}
}
