package server_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
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
	parsed, err := parseOpenAPI(got.text)
	if err != nil {
		h.t.Fatalf("%d %.100s: %v", got.status, got.text, err)
	}
	return openAPI{h.t, parsed.document, parsed.router}
}

// parseOpenAPI parses and validates a document, once for all tests that are served the same.
func parseOpenAPI(text string) (openAPI, error) {
	parsedOpenAPI.mu.Lock()
	defer parsedOpenAPI.mu.Unlock()
	if parsedOpenAPI.text == text {
		return parsedOpenAPI.openAPI, nil
	}
	document, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		return openAPI{}, err
	}
	if err := document.Validate(context.Background(), openapi3.EnableExamplesValidation()); err != nil {
		return openAPI{}, err
	}
	router, err := legacy.NewRouter(document)
	if err != nil {
		return openAPI{}, err
	}
	parsedOpenAPI.text, parsedOpenAPI.openAPI = text, openAPI{document: document, router: router}
	return parsedOpenAPI.openAPI, nil
}

var parsedOpenAPI struct {
	mu sync.Mutex
	openAPI

	text string
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
