package seamjson_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamjson"
)

type (
	request  = clientsessionv1.GrantAccessRequest
	response = clientsessionv1.GrantAccessResponse
	session  = clientsessionv1.ClientSession
)

// secret stands for every value of the caller, so that its absence from an error can be asserted.
const secret = "s3cret-value"

func newCodec(tb testing.TB) *seamjson.Codec {
	tb.Helper()
	codec, err := seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto,
	)
	if err != nil {
		tb.Fatal(err)
	}
	return codec
}

func wantEqual(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("message is {%v}\nwant {%v}", got, want)
	}
}

// wantNoSecret fails for a text that quotes the value.
func wantNoSecret(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Errorf("the text quotes a value: %s", text)
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
