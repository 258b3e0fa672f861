package interceptor_test

import (
	"context"
	"reflect"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

type request = clientsessionv1.GrantAccessRequest

func violation(message string, path ...string) seamerr.FieldViolation {
	return seamerr.FieldViolation{Path: path, Message: message}
}

// withUnknown returns the request with a field that this version of the contract does not know.
func withUnknown[M proto.Message](r M) M {
	r.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1))
	return r
}

// validate runs the step, and returns whether the handler was reached.
func validate(t *testing.T, call callinfo.Call, message any) (served bool, err error) {
	t.Helper()
	rules, err := interceptor.NewRules(clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Messages())
	if err != nil {
		t.Fatal(err)
	}
	ctx, _ := withCall(t, call)
	_, err = interceptor.Validation(rules)(ctx, message, info(), func(context.Context, any) (any, error) {
		served = true
		return nil, nil
	})
	return served, err
}

func TestValidationAccepts(t *testing.T) {
	for name, message := range map[string]proto.Message{
		"id":                   &request{ClientSessionId: new("c")},
		"empty id":             &request{ClientSessionId: new("")}, // It is present, and Seam documents any string.
		"id that is no UUID":   &request{ClientSessionId: new("not a uuid")},
		"key":                  &request{UserIdentifierKey: new("k")},
		"identity":             &request{UserIdentityId: new("")},
		"webviews":             &request{ConnectWebviewIds: []string{""}},
		"accounts":             &request{ConnectedAccountIds: []string{"a", "a"}},
		"one of the old list":  &request{UserIdentityIds: []string{"i"}},
		"message without rule": &clientsessionv1.ListRequest{},
	} {
		t.Run(name, func(t *testing.T) {
			if served, err := validate(t, callinfo.Call{}, message); !served || err != nil {
				t.Errorf("served: %t, error %v", served, err)
			}
		})
	}
}

func TestValidationRefuses(t *testing.T) {
	const atLeastOne = "At least one parameter must be provided"
	for name, test := range map[string]struct {
		unread  []seamerr.FieldViolation
		message proto.Message
		want    []seamerr.FieldViolation
	}{
		"empty request":    {nil, &request{}, []seamerr.FieldViolation{violation(atLeastOne)}},
		"empty lists only": {nil, &request{ConnectWebviewIds: []string{}, UserIdentityIds: []string{}}, []seamerr.FieldViolation{violation(atLeastOne)}},
		"empty key": {
			nil, &request{UserIdentifierKey: new("")},
			[]seamerr.FieldViolation{violation("String must contain at least 1 character(s)", "user_identifier_key")},
		},
		"two of the old list": {
			nil, &request{UserIdentityIds: []string{"a", "b"}}, []seamerr.FieldViolation{seamerr.NotExactlyOne("user_identity_ids")},
		},
		"several, in the contract's order": {
			nil, &request{UserIdentityIds: []string{"a", "b"}, UserIdentifierKey: new("")},
			[]seamerr.FieldViolation{
				violation("String must contain at least 1 character(s)", "user_identifier_key"),
				seamerr.NotExactlyOne("user_identity_ids"),
			},
		},
		"unknown field": {
			nil, withUnknown(&request{ClientSessionId: new("c")}), []seamerr.FieldViolation{violation("Unrecognized field(s) in message")},
		},
		"unknown field alone": {
			// It may be the parameter that is missing, so the missing parameter is not reported.
			nil, withUnknown(&request{}), []seamerr.FieldViolation{violation("Unrecognized field(s) in message")},
		},
		"unknown field and a rule violation": {
			nil, withUnknown(&request{UserIdentifierKey: new("")}),
			[]seamerr.FieldViolation{
				violation("String must contain at least 1 character(s)", "user_identifier_key"),
				violation("Unrecognized field(s) in message"),
			},
		},
		"unread alone": {
			[]seamerr.FieldViolation{violation("Expected string, received null", "client_session_id")},
			&request{},
			[]seamerr.FieldViolation{violation("Expected string, received null", "client_session_id")},
		},
		"undecodable and invalid, in the contract's order": {
			[]seamerr.FieldViolation{
				violation("Expected string, received null", "client_session_id"),
				violation("Expected array, received string", "connected_account_ids"),
				violation("Unrecognized key(s) in object: 'nope'"),
			},
			&request{UserIdentifierKey: new(""), UserIdentityIds: []string{"a", "b"}},
			[]seamerr.FieldViolation{
				violation("Expected string, received null", "client_session_id"),
				violation("String must contain at least 1 character(s)", "user_identifier_key"),
				violation("Expected array, received string", "connected_account_ids"),
				seamerr.NotExactlyOne("user_identity_ids"),
				violation("Unrecognized key(s) in object: 'nope'"),
			},
		},
		"reported once": {
			[]seamerr.FieldViolation{seamerr.NotExactlyOne("user_identity_ids")},
			&request{UserIdentityIds: []string{"a", "b"}},
			[]seamerr.FieldViolation{seamerr.NotExactlyOne("user_identity_ids")},
		},
		"elements in their order": {
			// Two of them break a rule; the one between could not be read.
			[]seamerr.FieldViolation{
				seamerr.NotExactlyOne("user_identity_ids"),
				violation("Expected string, received number", "user_identity_ids", "1"),
			},
			&clientsessionv1.CreateRequest{UserIdentityIds: []string{"a", "", "b"}},
			[]seamerr.FieldViolation{
				seamerr.NotExactlyOne("user_identity_ids"),
				violation("Invalid uuid", "user_identity_ids", "0"),
				violation("Expected string, received number", "user_identity_ids", "1"),
				violation("Invalid uuid", "user_identity_ids", "2"),
			},
		},
		"control characters": {
			nil,
			&clientsessionv1.GetOrCreateRequest{
				ConnectWebviewIds: &clientsessionv1.IdList{Ids: []string{"a", "\x7f"}}, UserIdentifierKey: new("jane\u0085doe"),
			},
			[]seamerr.FieldViolation{
				violation("Must not contain control characters", "connect_webview_ids", "1"),
				violation("Must not contain control characters", "user_identifier_key"),
			},
		},
		"time out of range": {
			nil,
			&clientsessionv1.CreateRequest{ExpiresAt: &timestamppb.Timestamp{Seconds: 1 << 50}},
			[]seamerr.FieldViolation{violation("Invalid datetime", "expires_at")},
		},
		"negative nanoseconds": {
			nil,
			&clientsessionv1.GetOrCreateRequest{ExpiresAt: &timestamppb.Timestamp{Nanos: -5}},
			[]seamerr.FieldViolation{violation("Invalid datetime", "expires_at")},
		},
		"unknown fields within": {
			nil,
			&clientsessionv1.GetOrCreateRequest{
				ConnectWebviewIds: withUnknown(&clientsessionv1.IdList{}), ExpiresAt: withUnknown(&timestamppb.Timestamp{}),
			},
			[]seamerr.FieldViolation{
				violation("Unrecognized field(s) in message", "connect_webview_ids"),
				violation("Unrecognized field(s) in message", "expires_at"),
			},
		},
		"missing":         {nil, &clientsessionv1.DeleteRequest{}, []seamerr.FieldViolation{violation("Required", "client_session_id")}},
		"not a UUID":      {nil, &clientsessionv1.DeleteRequest{ClientSessionId: new("x")}, []seamerr.FieldViolation{violation("Invalid uuid", "client_session_id")}},
		"empty as a UUID": {nil, &clientsessionv1.GetRequest{ClientSessionId: new("")}, []seamerr.FieldViolation{violation("Invalid uuid", "client_session_id")}},
	} {
		t.Run(name, func(t *testing.T) {
			served, err := validate(t, callinfo.Call{Violations: test.unread}, test.message)
			if served {
				t.Fatal("the handler was reached")
			}
			e := asError(t, err)
			if e.Type != "invalid_input" || e.GRPCCode() != codes.InvalidArgument || e.HTTPStatus != 400 {
				t.Errorf("error is %+v", e)
			}
			if !reflect.DeepEqual(e.Violations, test.want) {
				t.Errorf("violations are %q\nwant %q", e.Violations, test.want)
			}
		})
	}
}

func TestValidationOfNoMessage(t *testing.T) {
	served, err := validate(t, callinfo.Call{}, "text")
	if e := asError(t, err); served || e.GRPCCode() != codes.Internal || e.Cause == nil {
		t.Errorf("served: %t, error %+v", served, e)
	}
}
