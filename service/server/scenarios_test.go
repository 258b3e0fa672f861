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
	"github.com/clientsession/client-session-service/service/server"
)

// request is a request of clients/seam-sdk/raw_requests.json, whose other tests send it by other clients.
type request struct {
	Name, Method, Path, Query, Text string
	JSON                            json.RawMessage
	Headers                         map[string]*string
	// Expect is the outcome at the sandbox, and Face that at the REST face where it is known to differ.
	Expect, Face string
	// Long is how many characters stand for a placeholder.
	Long int
}

// reply is what a response says, in a form that is the same for the sandbox and both faces.
type reply struct {
	status  int
	members map[string]any
}

// outcome is the reply as the file says it.
func (r reply) outcome() string {
	if failure, ok := r.members["error"].(map[string]any); ok {
		return fmt.Sprint(r.status, " ", failure["type"])
	}
	return strconv.Itoa(r.status)
}

// sharedRequests are the requests of the file to the endpoints of the RPCs.
func sharedRequests(t *testing.T) []request {
	t.Helper()
	var file struct {
		Headers         map[string]*string
		Forms, Requests []request
	}
	if err := json.Unmarshal([]byte(readFile(t, "../../clients/seam-sdk/raw_requests.json")), &file); err != nil {
		t.Fatal(err)
	}
	for i := range file.Forms {
		file.Forms[i].Name = file.Forms[i].Method + " " + file.Forms[i].Path
	}
	again := request{ // PUT of the same returns the session that exists.
		Name: "create: an existing key", Method: http.MethodPost, Path: "/client_sessions/create",
		JSON:   json.RawMessage(`{"user_identifier_key":"` + sandbox.UserIdentifierKey + `"}`),
		Expect: "400 client_session_token_already_exists",
	}
	all := slices.DeleteFunc(slices.Concat(file.Forms, file.Requests, []request{again}), func(r request) bool {
		return r.Long != 0 || r.rpc() == "" || r.Method == http.MethodOptions
	})
	for _, rpc := range server.RPCs() {
		if !slices.ContainsFunc(all, func(r request) bool { return r.rpc() == rpc }) {
			t.Errorf("no request calls %s", rpc)
		}
	}
	for i, r := range all {
		all[i].Headers = maps.Clone(file.Headers)
		maps.Copy(all[i].Headers, r.Headers)
	}
	return all
}

// rpc is the RPC of the request's path, if any.
func (r request) rpc() string {
	resource, ok := strings.CutPrefix(r.Path, "/client_sessions/")
	for _, rpc := range server.RPCs() {
		if ok && strings.ReplaceAll(resource, "_", "") == strings.ToLower(rpc) {
			return rpc
		}
	}
	return ""
}

func (r request) body() string {
	if r.Text != "" {
		return r.Text
	}
	return string(r.JSON)
}

// TestScenarios sends each request to the sandbox, to the REST face and, as a message, to the gRPC face; all three have
// to say the same. The sandbox shares no code with the service, so it is the one that knows.
func TestScenarios(t *testing.T) {
	t.Parallel()
	seam, rest, grpc := start(t), start(t), start(t)
	for _, r := range sharedRequests(t) {
		t.Run(r.Name, func(t *testing.T) {
			for _, h := range []*harness{seam, rest, grpc} {
				h.t = t
				h.sandbox.Reset()
			}
			want := seam.overHTTP(seam.seamURL, r)
			if got := want.outcome(); got != r.Expect {
				t.Fatalf("the sandbox says %s, want %s", got, r.Expect)
			}
			got := rest.overHTTP("http://"+rest.at.HTTP, r)
			if r.Face != "" {
				want = got
				if got.outcome() != r.Face {
					t.Errorf("over REST: %s, want %s", got.outcome(), r.Face)
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("over REST:\ngot  %v\nwant %v", got, want)
			}
			grpc.checkMessage(t, r, want)
			for _, asked := range slices.Concat(rest.sandbox.Requests(), grpc.sandbox.Requests()) {
				if asked.Path != r.Path {
					t.Errorf("Seam was asked at %s", asked.Path)
				}
			}
		})
	}
}

// overHTTP sends a request to a server that speaks Seam's REST.
func (h *harness) overHTTP(base string, r request) reply {
	h.t.Helper()
	out, err := http.NewRequestWithContext(h.t.Context(), r.Method, base+r.Path, strings.NewReader(r.body()))
	if err != nil {
		h.t.Fatal(err)
	}
	out.URL.RawQuery = r.Query
	for name, value := range r.Headers {
		if value != nil {
			out.Header.Set(name, *value)
		}
	}
	response, err := h.http.Do(out)
	if err != nil {
		h.t.Fatal(err)
	}
	defer response.Body.Close()
	if contentType := response.Header.Get("Content-Type"); contentType != "application/json" {
		h.t.Errorf("%s: content type %q", base, contentType)
	}
	got := reply{status: response.StatusCode}
	if err := json.NewDecoder(response.Body).Decode(&got.members); err != nil {
		h.t.Fatalf("%s: %v", base, err)
	}
	if failure, ok := got.members["error"].(map[string]any); ok {
		if failure["request_id"] != response.Header.Get("Seam-Request-Id") {
			h.t.Errorf("request_id %v, header %q", failure["request_id"], response.Header.Get("Seam-Request-Id"))
		}
		failure["request_id"] = "some"
	}
	return got
}

// checkMessage sends a request over gRPC and compares the response with the one over REST.
func (h *harness) checkMessage(t *testing.T, r request, want reply) {
	t.Helper()
	codec, err := seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	if err != nil {
		t.Fatal(err)
	}
	in, out := newMessage(t, r.rpc()+"Request"), newMessage(t, r.rpc()+"Response")
	if violations, err := codec.UnmarshalRequest([]byte(r.body()), r.Query, in); err != nil || len(violations) > 0 {
		return // No message can be wrong in this way; the REST face has shown what it says.
	}
	if create, ok := in.(*clientsessionv1.CreateRequest); ok && r.Method == http.MethodPost {
		create.IfExists = clientsessionv1.IfExists_IF_EXISTS_FAIL
	}
	md := metadata.MD{}
	for name, value := range r.Headers {
		if value != nil && name != "content-type" {
			md.Set(name, *value)
		}
	}
	method := "/" + clientsessionv1.ClientSessionService_ServiceDesc.ServiceName + "/" + r.rpc()
	if err := h.conn.Invoke(metadata.NewOutgoingContext(t.Context(), md), method, in, out); err != nil {
		checkStatus(t, status.Convert(err), want)
		return
	}
	text, err := json.Marshal(want.members)
	if err != nil {
		t.Fatal(err)
	}
	expected := newMessage(t, r.rpc()+"Response")
	if _, err := codec.UnmarshalResponse(text, expected); err != nil || want.status != http.StatusOK {
		t.Fatalf("over REST it is %d %s, %v", want.status, text, err)
	}
	if !proto.Equal(out, expected) {
		t.Errorf("over gRPC:\ngot  %v\nwant %v", out, expected)
	}
}

// checkStatus compares an error over gRPC with the one over REST.
func checkStatus(t *testing.T, st *status.Status, want reply) {
	t.Helper()
	failure, _ := want.members["error"].(map[string]any)
	d := details(t, st)
	errorType := fmt.Sprint(failure["type"])
	if st.Message() != failure["message"] || d.info.GetReason() != strings.ToUpper(errorType) ||
		d.info.GetMetadata()["type"] != errorType || d.info.GetMetadata()["http_status"] != strconv.Itoa(want.status) ||
		d.request.GetRequestId() == "" {
		t.Errorf("over gRPC: got %v, want %v", st.Proto(), want)
	}
	tree, _ := failure["validation_errors"].(map[string]any)
	fields := slices.Sorted(slices.Values(d.fields()))
	if paths := violationPaths(tree, ""); !slices.Equal(fields, paths) {
		t.Errorf("over gRPC: violations of %q, want %q", fields, paths)
	}
}

func newMessage(t *testing.T, name string) proto.Message {
	t.Helper()
	const contract protoreflect.FullName = "seam.clientsession.v1"
	found, err := protoregistry.GlobalTypes.FindMessageByName(contract.Append(protoreflect.Name(name)))
	if err != nil {
		t.Fatal(err)
	}
	return found.New().Interface()
}

// TestResponseWithoutSession shows what a caller gets when Seam makes the grant and does not send the session.
func TestResponseWithoutSession(t *testing.T) {
	h := start(t)
	for body, want := range map[string]string{`{}`: `{}`, ``: `{"ok":true}`} {
		fault := sandbox.Fault{Status: http.StatusOK, Body: body}
		if body == "" {
			fault.Status = http.StatusNoContent
		}
		h.inject(fault)
		got, err := h.client().GrantAccess(authorized(t), grantByID())
		if err != nil || !got.GetOk() || got.ClientSession != nil { //nolint:protogetter // Presence.
			t.Errorf("%q over gRPC: got %v, %v", body, got, err)
		}
		if got := h.grant(byID); got.status != http.StatusOK || got.text != want {
			t.Errorf("%q over REST: got %d %s", body, got.status, got.text)
		}
		h.sandbox.ClearFaults()
	}
}
