package seamjson

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

type (
	request       = clientsessionv1.GrantAccessRequest
	listRequest   = clientsessionv1.ListRequest
	createRequest = clientsessionv1.GetOrCreateRequest
	idList        = clientsessionv1.IdList
	response      = clientsessionv1.GrantAccessResponse
	listResponse  = clientsessionv1.ListResponse
	session       = clientsessionv1.ClientSession
)

// secret stands for every value of the caller, so that its absence from an error can be asserted. In the tables it is
// written SECRET.
const secret = "s3cret-value"

// contract is the codec of the contract's messages.
var contract = newCodec()

func newCodec() *Codec {
	codec, err := New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto,
	)
	if err != nil {
		panic(err)
	}
	return codec
}

// readRequest reads a body and, after a question mark, a query string.
func readRequest(text string, m proto.Message) ([]seamerr.FieldViolation, error) {
	body, query, _ := strings.Cut(strings.ReplaceAll(text, "SECRET", secret), "?")
	return contract.UnmarshalRequest([]byte(body), query, m)
}

// readResponse reads a response, and fails unless CheckResponse says the same of it.
func readResponse(t *testing.T, text string, m proto.Message) (Envelope, error) {
	t.Helper()
	data := []byte(strings.ReplaceAll(text, "SECRET", secret))
	envelope, err := contract.UnmarshalResponse(data, m)
	checked, checkErr := contract.CheckResponse(data, m)
	if !reflect.DeepEqual(envelope, checked) || fmt.Sprint(err) != fmt.Sprint(checkErr) {
		t.Errorf("%+v, %v when it is read; %+v, %v when it is checked", envelope, err, checked, checkErr)
	}
	return envelope, err
}

// wantError fails unless an error has the text, which does not quote the value.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func wantEqual(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("message is {%v}\nwant {%v}", got, want)
	}
}

func stamp(text string) *timestamppb.Timestamp {
	instant, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return timestamppb.New(instant)
}

// fullSession has every member set, with the values of fullResponse.
func fullSession() *session {
	return &session{
		ClientSessionId:     "c2cbd177-1ef1-414d-a2c5-e64ec6ffd7aa",
		WorkspaceId:         "d3513c20-dc89-4e19-8713-1c3ab01aec81",
		CreatedAt:           stamp("2025-06-15T16:54:17.946Z"),
		ExpiresAt:           stamp("2025-06-16T16:54:17.946Z"),
		Token:               "seam_cst1234567890",
		UserIdentifierKey:   new("user-1"),
		DeviceCount:         3,
		ConnectWebviewIds:   []string{"w1"},
		ConnectedAccountIds: []string{"a1", "a2"},
		UserIdentityIds:     []string{"i1"},
		CustomerKey:         new("customer-1"),
		UserIdentityId:      new("i1"),
	}
}

// fullResponse is the response with fullSession as it is written: the members in the contract's order.
const fullResponse = `{"client_session":{` +
	`"client_session_id":"c2cbd177-1ef1-414d-a2c5-e64ec6ffd7aa",` +
	`"workspace_id":"d3513c20-dc89-4e19-8713-1c3ab01aec81",` +
	`"created_at":"2025-06-15T16:54:17.946Z",` +
	`"expires_at":"2025-06-16T16:54:17.946Z",` +
	`"token":"seam_cst1234567890",` +
	`"user_identifier_key":"user-1",` +
	`"device_count":3,` +
	`"connect_webview_ids":["w1"],` +
	`"connected_account_ids":["a1","a2"],` +
	`"user_identity_ids":["i1"],` +
	`"customer_key":"customer-1",` +
	`"user_identity_id":"i1"},"ok":true}`

// A message of another contract is a bug in the code, for which every method must return an error and not panic.
func TestUnknownMessage(t *testing.T) {
	unknown := structpb.NewNullValue()
	_, appendErr := contract.AppendRequest(nil, unknown)
	_, requestErr := readRequest(`{}`, unknown)
	_, responseErr := readResponse(t, `{}`, unknown)
	for _, err := range []error{appendErr, requestErr, responseErr} {
		wantError(t, err, "google.protobuf.Value is not a message of this codec")
	}
}

// A field of a type that Seam's JSON does not have must stop the start of the service.
func TestNewRefusesFieldsWithoutJSON(t *testing.T) {
	for name, file := range map[string]protoreflect.FileDescriptor{
		"map, enum, double": structpb.File_google_protobuf_struct_proto,
		"int64":             timestamppb.File_google_protobuf_timestamp_proto,
	} {
		if _, err := New(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
