package seamjson_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

type (
	listRequest   = clientsessionv1.ListRequest
	createRequest = clientsessionv1.GetOrCreateRequest
	idList        = clientsessionv1.IdList
)

func withoutWebview() *listRequest {
	return &listRequest{ConnectWebview: &clientsessionv1.ListRequest_WithoutConnectWebview{WithoutConnectWebview: true}}
}

func withWebview(id string) *listRequest {
	return &listRequest{ConnectWebview: &clientsessionv1.ListRequest_ConnectWebviewId{ConnectWebviewId: id}}
}

func TestUnmarshalQuery(t *testing.T) {
	for name, test := range map[string]struct {
		body, query string
		want        proto.Message
	}{
		"nothing":              {``, ``, &request{}},
		"one":                  {``, `client_session_id=c`, &request{ClientSessionId: new("c")}},
		"escapes":              {``, `client%5Fsession_id=a%20b+c%26%C3%A9`, &request{ClientSessionId: new("a b c&é")}},
		"empty text":           {``, `client_session_id=`, &request{ClientSessionId: new("")}},
		"no equals sign":       {``, `client_session_id`, &request{ClientSessionId: new("")}},
		"more equals signs":    {``, `client_session_id=a=b`, &request{ClientSessionId: new("a=b")}},
		"SDK's mark":           {``, `_strict=true&client_session_id=c&_strict=`, &request{ClientSessionId: new("c")}},
		"stray ampersands":     {``, `&&client_session_id=c&`, &request{ClientSessionId: new("c")}},
		"list":                 {``, `connected_account_ids=a&connected_account_ids=b`, &request{ConnectedAccountIds: []string{"a", "b"}}},
		"empty list":           {``, `connected_account_ids=`, &request{}},
		"list with an empty":   {``, `connected_account_ids=a&connected_account_ids=`, &request{ConnectedAccountIds: []string{"a", ""}}},
		"beside a body":        {`{"client_session_id":"b"}`, `user_identity_id=q`, &request{ClientSessionId: new("b"), UserIdentityId: new("q")}},
		"body wins":            {`{"client_session_id":"b"}`, `client_session_id=q`, &request{ClientSessionId: new("b")}},
		"body wins with lists": {`{"connected_account_ids":["b"]}`, `connected_account_ids=q&connected_account_ids=r`, &request{ConnectedAccountIds: []string{"b"}}},
		"true":                 {``, `without_user_identifier_key=true`, &listRequest{WithoutUserIdentifierKey: new(true)}},
		"false":                {``, `without_user_identifier_key=false`, &listRequest{WithoutUserIdentifierKey: new(false)}},
		"id":                   {``, `connect_webview_id=w`, withWebview("w")},
		"id is null":           {``, `connect_webview_id=`, withoutWebview()},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.want.ProtoReflect().New().Interface()
			violations, err := newCodec(t).UnmarshalRequest([]byte(test.body), test.query, got)
			if err != nil || len(violations) > 0 {
				t.Fatalf("violations %q, error %v", violations, err)
			}
			wantEqual(t, got, test.want)
		})
	}
}

func TestUnmarshalQueryViolations(t *testing.T) {
	for name, test := range map[string]struct {
		query   string
		message proto.Message
		want    []seamerr.FieldViolation
	}{
		"boolean":        {`without_user_identifier_key=SECRET`, &listRequest{}, []seamerr.FieldViolation{violation("Expected boolean, received string", "without_user_identifier_key")}},
		"empty boolean":  {`without_user_identifier_key=`, &listRequest{}, []seamerr.FieldViolation{violation("Expected boolean, received string", "without_user_identifier_key")}},
		"two identities": {`user_identity_ids=SECRET&user_identity_ids=b`, &request{}, []seamerr.FieldViolation{seamerr.NotExactlyOne("user_identity_ids")}},
		"no identity":    {`user_identity_ids=`, &request{}, []seamerr.FieldViolation{seamerr.NotExactlyOne("user_identity_ids")}},
	} {
		t.Run(name, func(t *testing.T) {
			violations, err := newCodec(t).UnmarshalRequest(nil, strings.ReplaceAll(test.query, "SECRET", secret), test.message)
			if err != nil || !reflect.DeepEqual(violations, test.want) {
				t.Errorf("violations %q, error %v; want %q", violations, err, test.want)
			}
		})
	}
}

func TestUnmarshalQueryRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		body, query string
		message     proto.Message
		want        string
	}{
		"unknown":                  {``, `nope=SECRET`, &request{}, "Unrecognized query parameter: 'nope'"},
		"name like a key":          {``, `seam_SECRET=1`, &request{}, "Unrecognized query parameter: '(not quoted)'"},
		"camel case":               {``, `clientSessionId=SECRET`, &request{}, "Unrecognized query parameter: 'clientSessionId'"},
		"brackets":                 {``, `connected_account_ids[]=SECRET`, &request{}, "Unrecognized query parameter: 'connected_account_ids[]'"},
		"field that JSON lacks":    {``, `without_connect_webview=true`, &listRequest{}, "Unrecognized query parameter: 'without_connect_webview'"},
		"repeated":                 {``, `client_session_id=SECRET&client_session_id=SECRET`, &request{}, "Repeated query parameter: 'client_session_id'"},
		"repeated with an escape":  {``, `client_session_id=a&client%5fsession_id=SECRET`, &request{}, "Repeated query parameter: 'client_session_id'"},
		"repeated beside the body": {`{"client_session_id":"b"}`, `client_session_id=SECRET&client_session_id=SECRET`, &request{}, "Repeated query parameter: 'client_session_id'"},
		"invalid escape":           {``, `client_session_id=%zzSECRET`, &request{}, "Invalid query string"},
		"invalid escape in a name": {``, `%=SECRET`, &request{}, "Invalid query string"},
		"not UTF-8":                {``, `client_session_id=%ffSECRET`, &request{}, "Invalid query string"},
		"request of bodies only":   {``, `user_identifier_key=SECRET`, &createRequest{}, "Unrecognized query parameter: 'user_identifier_key'"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newCodec(t).UnmarshalRequest([]byte(test.body), strings.ReplaceAll(test.query, "SECRET", secret), test.message)
			var e *seamerr.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v", err)
			}
			if e.Type != "invalid_query_params" || e.Message != test.want {
				t.Errorf("error is %q, %q", e.Type, e.Message)
			}
			wantNoSecret(t, e.Error())
		})
	}
}

// Some members have three states: absent, null (or an empty list) and a value. Each must be decoded and encoded as
// such.
func TestAbsentNullAndEmptyAreDistinct(t *testing.T) {
	for text, want := range map[string]proto.Message{
		`{}`:                                    &listRequest{},
		`{"connect_webview_id":null}`:           withoutWebview(),
		`{"connect_webview_id":"w"}`:            withWebview("w"),
		`{"connect_webview_id":""}`:             withWebview(""),
		`{"without_user_identifier_key":false}`: &listRequest{WithoutUserIdentifierKey: new(false)},
		`{"connect_webview_ids":[]}`:            &createRequest{ConnectWebviewIds: &idList{}},
		`{"connect_webview_ids":["a","b"],"expires_at":"2025-06-15T16:54:17.946Z"}`: &createRequest{
			ConnectWebviewIds: &idList{Ids: []string{"a", "b"}}, ExpiresAt: stamp("2025-06-15T16:54:17.946Z"),
		},
	} {
		t.Run(text, func(t *testing.T) {
			got := want.ProtoReflect().New().Interface()
			violations, err := newCodec(t).UnmarshalRequest([]byte(text), "", got)
			if err != nil || len(violations) > 0 {
				t.Fatalf("violations %q, error %v", violations, err)
			}
			wantEqual(t, got, want)
			written, err := newCodec(t).AppendRequest(nil, want)
			if err != nil || string(written) != text {
				t.Errorf("written is %s, error %v", written, err)
			}
		})
	}
	for text, want := range map[string]seamerr.FieldViolation{
		`{"client_session_id":null}`:           violation("Expected string, received null", "client_session_id"),
		`{"connect_webview_id":5}`:             violation("Expected string, received number", "connect_webview_id"),
		`{"without_user_identifier_key":null}`: violation("Expected boolean, received null", "without_user_identifier_key"),
		`{"without_connect_webview":true}`:     violation("Unrecognized key(s) in object: 'without_connect_webview'"),
	} {
		violations, err := newCodec(t).UnmarshalRequest([]byte(text), "", &listRequest{})
		if err != nil || !reflect.DeepEqual(violations, []seamerr.FieldViolation{want}) {
			t.Errorf("%s: violations %q, error %v; want %q", text, violations, err, want)
		}
	}
	for text, want := range map[string]seamerr.FieldViolation{
		`{"connect_webview_ids":null}`:          violation("Expected array, received null", "connect_webview_ids"),
		`{"connect_webview_ids":{"ids":["a"]}}`: violation("Expected array, received object", "connect_webview_ids"),
		`{"connect_webview_ids":["a",1]}`:       violation("Expected string, received number", "connect_webview_ids", "1"),
		`{"expires_at":"` + secret + `"}`:       violation("Invalid datetime", "expires_at"),
		`{"expires_at":"2025-06-15"}`:           violation("Invalid datetime", "expires_at"),
		`{"expires_at":1750006457}`:             violation("Expected string, received number", "expires_at"),
		`{"if_exists":"IF_EXISTS_FAIL"}`:        violation("Unrecognized key(s) in object: 'if_exists'"),
	} {
		violations, err := newCodec(t).UnmarshalRequest([]byte(text), "", &createRequest{})
		if err != nil || !reflect.DeepEqual(violations, []seamerr.FieldViolation{want}) {
			t.Errorf("%s: violations %q, error %v; want %q", text, violations, err, want)
		}
	}
}
