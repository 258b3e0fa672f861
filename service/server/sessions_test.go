package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// reply is what a response says, in a form that is the same for the sandbox and both faces.
type reply struct {
	status  int
	members map[string]any
}

// TestScenarios sends each scenario to the sandbox and to both faces. The sandbox shares no code with the service, so
// it is the one that knows.
func TestScenarios(t *testing.T) {
	t.Parallel()
	seam, rest, grpc := start(t), start(t), start(t)
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			for _, h := range []*harness{seam, rest, grpc} {
				h.t = t
				h.sandbox.Reset()
			}
			for i, step := range s.steps {
				want := seam.overHTTP(seam.seamURL, step)
				if failure, _ := want.members["error"].(map[string]any); want.status != step.status ||
					(failure["type"] != step.errorType && step.errorType != "") {
					t.Fatalf("step %d: the sandbox says %v, want %d %s", i, want, step.status, step.errorType)
				}
				if got := rest.overHTTP("http://"+rest.at.HTTP, step); !reflect.DeepEqual(got, want) {
					t.Errorf("step %d over REST:\ngot  %v\nwant %v", i, got, want)
				}
				grpc.checkGRPC(t, i, step, want)
			}
		})
	}
}

// path returns the path of an RPC in Seam's API.
func (s step) path() string {
	path := map[string]string{"GetOrCreate": "get_or_create", "GrantAccess": "grant_access"}[s.rpc]
	if path == "" {
		path = strings.ToLower(s.rpc)
	}
	return "/client_sessions/" + path
}

// overHTTP sends a step to a server that speaks Seam's REST.
func (h *harness) overHTTP(base string, s step) reply {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), s.method, base+s.path(), strings.NewReader(s.body))
	if err != nil {
		h.t.Fatal(err)
	}
	request.URL.RawQuery = s.query
	if s.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range pairs(s.credentials()) {
		request.Header.Set(name, value)
	}
	response, err := h.http.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	if contentType := response.Header.Get("Content-Type"); contentType != "application/json" {
		h.t.Errorf("%s %s: content type %q", s.method, base+s.path(), contentType)
	}
	got := reply{status: response.StatusCode}
	if err := json.NewDecoder(response.Body).Decode(&got.members); err != nil {
		h.t.Fatalf("%s %s: %v", s.method, base+s.path(), err)
	}
	if failure, ok := got.members["error"].(map[string]any); ok {
		if failure["request_id"] != response.Header.Get("Seam-Request-Id") {
			h.t.Errorf("request_id %v, header %q", failure["request_id"], response.Header.Get("Seam-Request-Id"))
		}
		failure["request_id"] = "some"
	}
	return got
}

func (s step) credentials() []string {
	if s.header == nil {
		return bearer(sandbox.APIKey)
	}
	return s.header
}

// checkGRPC sends a step as a message and compares the response with the one of the sandbox.
func (h *harness) checkGRPC(t *testing.T, i int, s step, want reply) {
	t.Helper()
	codec := newCodec(t)
	request, response := newMessage(t, s.rpc+"Request"), newMessage(t, s.rpc+"Response")
	if violations, err := codec.UnmarshalRequest([]byte(s.body), s.query, request); err != nil || len(violations) > 0 {
		return // No message can be wrong in this way; the REST face has shown what it says.
	}
	if create, ok := request.(*clientsessionv1.CreateRequest); ok && s.method == http.MethodPost {
		create.IfExists = clientsessionv1.IfExists_IF_EXISTS_FAIL
	}
	ctx := metadata.NewOutgoingContext(t.Context(), metadata.New(maps.Collect(pairs(s.credentials()))))
	err := h.conn.Invoke(ctx, "/"+clientsessionv1.ClientSessionService_ServiceDesc.ServiceName+"/"+s.rpc, request, response)
	if err != nil {
		checkStatus(t, i, status.Convert(err), want)
		return
	}
	text, err := json.Marshal(want.members)
	if err != nil {
		t.Fatal(err)
	}
	expected := newMessage(t, s.rpc+"Response")
	if _, err := codec.UnmarshalResponse(text, expected); err != nil || want.status != http.StatusOK {
		t.Fatalf("step %d: the sandbox responds %d %s, %v", i, want.status, text, err)
	}
	if !proto.Equal(response, expected) {
		t.Errorf("step %d over gRPC:\ngot  %v\nwant %v", i, response, expected)
	}
}

// checkStatus compares an error over gRPC with the one of the sandbox.
func checkStatus(t *testing.T, i int, st *status.Status, want reply) {
	t.Helper()
	failure, _ := want.members["error"].(map[string]any)
	d := details(t, st)
	errorType := fmt.Sprint(failure["type"])
	if st.Message() != failure["message"] || d.info.GetReason() != strings.ToUpper(errorType) ||
		d.info.GetMetadata()["type"] != errorType || d.info.GetMetadata()["http_status"] != strconv.Itoa(want.status) ||
		d.request.GetRequestId() == "" {
		t.Errorf("step %d over gRPC: got %v, want %v", i, st.Proto(), want)
	}
	tree, _ := failure["validation_errors"].(map[string]any)
	fields := slices.Sorted(slices.Values(d.fields()))
	if paths := violationPaths(tree, ""); !slices.Equal(fields, paths) {
		t.Errorf("step %d over gRPC: violations of %q, want %q", i, fields, paths)
	}
}

func newMessage(t *testing.T, name string) proto.Message {
	t.Helper()
	found, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("seam.clientsession.v1").Append(protoreflect.Name(name)))
	if err != nil {
		t.Fatal(err)
	}
	return found.New().Interface()
}

func newCodec(t *testing.T) *seamjson.Codec {
	t.Helper()
	codec, err := seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

// pairs walks a list of names and values.
func pairs(list []string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for pair := range slices.Chunk(list, 2) {
			if !yield(pair[0], pair[1]) {
				return
			}
		}
	}
}
