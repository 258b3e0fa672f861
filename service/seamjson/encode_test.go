package seamjson_test

import (
	"encoding/json"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamjson"
)

func TestAppendRequestTimes(t *testing.T) {
	for _, test := range []struct {
		stamp *timestamppb.Timestamp
		want  string
	}{
		{stamp("2025-06-15T16:54:17.946Z"), "2025-06-15T16:54:17.946Z"},
		{stamp("2025-06-15T16:54:17Z"), "2025-06-15T16:54:17.000Z"},
		{stamp("2025-06-15T16:54:17.9Z"), "2025-06-15T16:54:17.900Z"},
		{stamp("2025-06-15T16:54:17.946123Z"), "2025-06-15T16:54:17.946123Z"},
		{stamp("2025-06-15T16:54:17.000001Z"), "2025-06-15T16:54:17.000001Z"},
		{stamp("2025-06-15T16:54:17.946123789Z"), "2025-06-15T16:54:17.946123789Z"},
		{stamp("2025-06-15T16:54:17.000000001Z"), "2025-06-15T16:54:17.000000001Z"},
		{stamp("2025-06-15T18:54:17.946+02:00"), "2025-06-15T16:54:17.946Z"},
		{stamp("1969-12-31T23:59:59.999Z"), "1969-12-31T23:59:59.999Z"},
		{stamp("0001-01-01T00:00:00Z"), "0001-01-01T00:00:00.000Z"},
		{stamp("9999-12-31T23:59:59.999999999Z"), "9999-12-31T23:59:59.999999999Z"},
	} {
		t.Run(test.want, func(t *testing.T) {
			text, err := newCodec(t).AppendRequest(nil, &clientsessionv1.CreateRequest{ExpiresAt: test.stamp})
			if err != nil {
				t.Fatal(err)
			}
			if want := `{"expires_at":"` + test.want + `"}`; string(text) != want {
				t.Errorf("request is %s, want %s", text, want)
			}
		})
	}
}

func TestAppendRequestTexts(t *testing.T) {
	for _, text := range []string{
		"", "plain", `quote " backslash \ slash /`, "\x00\x01\x1f\x7f", "\b\f\n\r\t", "Zoë", "日本", "😀",
		"\u2028\u2029", "<script>&</script>", "\ufffd", "\u00a0",
	} {
		written, err := newCodec(t).AppendRequest(nil, &request{UserIdentifierKey: &text, ConnectWebviewIds: []string{text, text}})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		// The standard library reads it back, so that no bug of the reader can hide one of the writer.
		var got struct {
			Key string   `json:"user_identifier_key"`
			IDs []string `json:"connect_webview_ids"`
		}
		if err := json.Unmarshal(written, &got); err != nil {
			t.Fatalf("%q: %s: %v", text, written, err)
		}
		if got.Key != text || len(got.IDs) != 2 || got.IDs[1] != text {
			t.Errorf("%q was written as %s", text, written)
		}
	}
}

func TestAppendRequest(t *testing.T) {
	for name, test := range map[string]struct {
		message *request
		want    string
	}{
		"nothing":     {&request{}, `{}`},
		"empty lists": {&request{ConnectWebviewIds: []string{}, UserIdentityIds: []string{}}, `{}`},
		"empty texts": {&request{ClientSessionId: new("")}, `{"client_session_id":""}`},
		"the last":    {&request{UserIdentityIds: []string{"i"}}, `{"user_identity_ids":["i"]}`},
		"escapes":     {&request{UserIdentifierKey: new("a\"\n\x00é")}, `{"user_identifier_key":"a\"\n\u0000é"}`},
		"everything": {
			&request{
				ClientSessionId: new("c"), UserIdentifierKey: new("k"), ConnectWebviewIds: []string{"w"},
				ConnectedAccountIds: []string{"a", ""}, UserIdentityId: new("j"), UserIdentityIds: []string{"i"},
			},
			`{"client_session_id":"c","user_identifier_key":"k","connect_webview_ids":["w"],` +
				`"connected_account_ids":["a",""],"user_identity_id":"j","user_identity_ids":["i"]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newCodec(t).AppendRequest([]byte("before"), test.message)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != "before"+test.want {
				t.Errorf("request is %s\nwant       before%s", got, test.want)
			}
			read := &request{}
			if violations, err := newCodec(t).UnmarshalRequest(got[len("before"):], "", read); err != nil || len(violations) > 0 {
				t.Fatalf("an encoded text is refused: violations %v, error %v", violations, err)
			}
			wantEqual(t, read, test.message)
		})
	}
}

// A message that JSON cannot represent is an error. It names the member and does not quote the value.
func TestAppendFails(t *testing.T) {
	invalid := "\xff" + secret
	codec := newCodec(t)
	for name, test := range map[string]struct {
		proto.Message
		want string
	}{
		"text not UTF-8":    {&request{UserIdentifierKey: &invalid}, "user_identifier_key: "},
		"element not UTF-8": {&request{ConnectWebviewIds: []string{"a", invalid}}, "connect_webview_ids: "},
		"time out of range": {
			&clientsessionv1.CreateRequest{ExpiresAt: &timestamppb.Timestamp{Seconds: 1 << 60}}, "expires_at: ",
		},
		"a response": {&response{ClientSession: &session{}}, "client_session: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := codec.AppendRequest(nil, test.Message)
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); len(got) <= len(test.want) || got[:len(test.want)] != test.want {
				t.Errorf("error is %q, want it to begin with %q", got, test.want)
			}
			wantNoSecret(t, err.Error())
		})
	}
}

// A message of another contract is a bug in the code, for which every method must return an error and not panic.
func TestUnknownMessage(t *testing.T) {
	codec := newCodec(t)
	unknown := structpb.NewNullValue()
	_, appendRequest := codec.AppendRequest(nil, unknown)
	_, unmarshalResponse := codec.UnmarshalResponse([]byte(`{}`), unknown)
	_, unmarshalRequest := codec.UnmarshalRequest([]byte(`{}`), "", unknown)
	for name, err := range map[string]error{
		"AppendRequest": appendRequest, "UnmarshalRequest": unmarshalRequest,
		"UnmarshalResponse": unmarshalResponse,
	} {
		if err == nil || err.Error() != "google.protobuf.Value is not a message of this codec" {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

// A field of a type that Seam's JSON does not have must stop the start of the service.
func TestNewRefusesFieldsWithoutJSON(t *testing.T) {
	for name, file := range map[string]protoreflect.FileDescriptor{
		"map, enum, double": structpb.File_google_protobuf_struct_proto,
		"int64":             timestamppb.File_google_protobuf_timestamp_proto,
	} {
		if _, err := seamjson.New(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
