package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"go.yaml.in/yaml/v3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/gen/openapi"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// document is the OpenAPI document, parsed and validated once for all tests.
var document = sync.OnceValue(func() *openapi3.T {
	parsed, err := openapi3.NewLoader().LoadFromData(openapi.JSON)
	if err == nil {
		err = parsed.Validate(context.Background(), openapi3.EnableExamplesValidation())
	}
	if err != nil {
		panic(err)
	}
	return parsed
})

// validatorInput is a request without a credential, for the validator.
func validatorInput(t *testing.T, method, path, body string) *openapi3filter.RequestValidationInput {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	item := document().Paths.Value(request.URL.Path)
	route := &routers.Route{
		Spec: document(), Path: request.URL.Path, PathItem: item, Method: method, Operation: item.GetOperation(method),
	}
	// Without this the validator takes any text for a UUID.
	uuid := openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC9562)
	return &openapi3filter.RequestValidationInput{Request: request, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
		SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.WithStringFormatValidator("uuid", uuid)},
	}}
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

func openAPIRoutes() map[string]openAPIRoute {
	routes, schemas := map[string]openAPIRoute{}, document().Components.Schemas
	for path, item := range document().Paths.Map() {
		for method, operation := range item.Operations() {
			request := schemas[operation.OperationID+"Request"]
			if request == nil { // The other forms of a method have their HTTP method in the name.
				name := strings.TrimSuffix(operation.OperationID, method[:1]+strings.ToLower(method[1:]))
				request = schemas[name+"Request"]
			}
			routes[method+" "+path] = openAPIRoute{
				method, path, operation, request.Value.Properties, request.Value.Examples[0].(map[string]any),
			}
		}
	}
	return routes
}

// TestOpenAPIForms shows that both forms of the document say the same.
func TestOpenAPIForms(t *testing.T) {
	var one, other any
	err := errors.Join(yaml.Unmarshal(openapi.JSON, &one), yaml.Unmarshal(openapi.YAML, &other)) // JSON is YAML too.
	if err != nil || !reflect.DeepEqual(one, other) {
		t.Errorf("the two forms differ, %v", err)
	}
}

// TestOpenAPIWords shows that the document is for callers of REST: it has no words of gRPC.
func TestOpenAPIWords(t *testing.T) {
	words := `(?i)grpc|proto|if_?exists|\bmetadata\b|\btrailers?\b|\bunset\b|\brpc\b|REST face`
	codes := slices.Sorted(maps.Values(code.Code_name)) // In upper case they are those of gRPC.
	for _, pattern := range []string{words, `\b(` + strings.Join(codes, "|") + `)\b`} {
		if found := regexp.MustCompile(".*(?:"+pattern+").*").FindAllString(string(openapi.JSON), -1); found != nil {
			t.Errorf("the document says %q", found)
		}
	}
}

// TestOpenAPIRoutes shows that the document has each route of the contract in each of its methods, and no other.
func TestOpenAPIRoutes(t *testing.T) {
	var want []string
	methods := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		rule := proto.GetExtension(methods.Get(i).Options(), annotations.E_Http).(*annotations.HttpRule)
		for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			fields := binding.ProtoReflect()
			pattern := fields.WhichOneof(fields.Descriptor().Oneofs().ByName("pattern")) // It has the name of the method.
			want = append(want, strings.ToUpper(string(pattern.Name()))+" "+fields.Get(pattern).String())
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(openAPIRoutes())); !slices.Equal(got, want) || len(got) != 12 {
		t.Errorf("the document has %q, the contract %q", got, want)
	}
}

// TestOpenAPIRequests shows that the document and the service accept the same requests: for each member of each request
// in each form, values of every type, of which the service sends to Seam those that the document allows.
func TestOpenAPIRequests(t *testing.T) {
	t.Parallel()
	h := start(t)
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
	for name, route := range openAPIRoutes() {
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
				input := validatorInput(t, route.method, path, body)
				allowed := openapi3filter.ValidateRequest(t.Context(), input) == nil
				if sent := len(h.sandbox.Requests()) > before; sent != allowed {
					t.Errorf("%s %s %s: allowed by the document: %t; the service responds with %d %s",
						name, path, body, allowed, got.status, got.text)
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
	for name, route := range openAPIRoutes() {
		requirements := document().Security
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
