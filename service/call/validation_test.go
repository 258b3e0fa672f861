package call

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const someUUID = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"

type (
	grantRequest  = clientsessionv1.GrantAccessRequest
	createRequest = clientsessionv1.CreateRequest
	getOrCreate   = clientsessionv1.GetOrCreateRequest
)

func contractRules(tb testing.TB) Rules {
	tb.Helper()
	rules, err := NewRules(clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Messages())
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

// withUnknown returns the message with a field that this version of the contract does not know.
func withUnknown[M proto.Message](message M) M {
	field := protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1)
	message.ProtoReflect().SetUnknown(field)
	return message
}

func TestValidationAccepts(t *testing.T) {
	rules := contractRules(t)
	for _, message := range []proto.Message{
		&grantRequest{ClientSessionId: new("")}, // It is present, and Seam documents any string.
		&grantRequest{ClientSessionId: new("not a uuid")},
		&grantRequest{UserIdentifierKey: new("k")},
		&grantRequest{UserIdentityId: new("")},
		&grantRequest{ConnectWebviewIds: []string{""}},
		&grantRequest{ConnectedAccountIds: []string{"a", "a"}},
		&grantRequest{UserIdentityIds: []string{"i"}},
		&createRequest{ConnectWebviewIds: make([]string, 4096), UserIdentityId: new(strings.ToUpper(someUUID))},
		&clientsessionv1.ListRequest{},
		&emptypb.Empty{}, // The contract has no rules for it, nor for a health check.
	} {
		if err := rules.validate(&Call{}, message); err != nil {
			t.Errorf("%T{%v}: %v", message, message, err)
		}
	}
}

func TestValidationRefuses(t *testing.T) {
	const (
		atLeastOne     = "At least one parameter must be provided"
		emptyKey       = `String must contain at least 1 character(s) for "user_identifier_key"`
		notOneIdentity = `Array must contain exactly 1 element(s) for "user_identity_ids"`
		unknownField   = "Unrecognized field(s) in message"
	)
	var (
		nullID        = seamerr.UnexpectedType("string", "null", "client_session_id")
		textForList   = seamerr.UnexpectedType("array", "string", "connected_account_ids")
		numberForText = seamerr.UnexpectedType("string", "number", "user_identity_ids", "1")
		unknownKey    = seamerr.UnrecognizedKeys([]string{"nope"})
		notOne        = seamerr.NotExactlyOne("user_identity_ids")
	)
	rules, two, many := contractRules(t), []string{"a", "b"}, make([]string, 4097)
	for name, test := range map[string]struct {
		message proto.Message
		unread  []seamerr.FieldViolation // The violations of reading.
		want    []string
	}{
		"empty request":       {&grantRequest{}, nil, []string{atLeastOne}},
		"empty lists only":    {&grantRequest{ConnectWebviewIds: []string{}, UserIdentityIds: []string{}}, nil, []string{atLeastOne}},
		"empty key":           {&grantRequest{UserIdentifierKey: new("")}, nil, []string{emptyKey}},
		"two of the old list": {&grantRequest{UserIdentityIds: two}, nil, []string{notOneIdentity}},
		"missing":             {&clientsessionv1.DeleteRequest{}, nil, []string{"client_session_id is required"}},
		"not a UUID": {
			&clientsessionv1.DeleteRequest{ClientSessionId: new("x")}, nil, []string{`Invalid uuid for "client_session_id"`},
		},
		"empty as a UUID": {
			&clientsessionv1.GetRequest{ClientSessionId: new("")}, nil, []string{`Invalid uuid for "client_session_id"`},
		},
		"no value of the enum": {
			&createRequest{IfExists: 7}, nil, []string{`value must be one of the defined enum values for "if_exists"`},
		},
		"false where only true has a meaning": {
			&clientsessionv1.ListRequest{UserIdentity: &clientsessionv1.ListRequest_WithoutUserIdentity{}}, nil,
			[]string{`must equal true for "without_user_identity"`},
		},
		"too many ids": {
			&createRequest{ConnectWebviewIds: many, UserIdentifierKey: new("")}, nil,
			[]string{`Array must contain at most 4096 element(s) for "connect_webview_ids"`},
		},
		"too many ids within": {
			&getOrCreate{ConnectedAccountIds: &clientsessionv1.IdList{Ids: many}}, nil,
			[]string{`Array must contain at most 4096 element(s) for "connected_account_ids"`},
		},
		"several, in the contract's order": {
			&grantRequest{UserIdentityIds: two, UserIdentifierKey: new("")}, nil, []string{emptyKey, notOneIdentity},
		},

		"unknown field": {withUnknown(&grantRequest{ClientSessionId: new("c")}), nil, []string{unknownField}},
		// It may be the parameter that is missing, so the missing parameter is not reported.
		"unknown field alone": {withUnknown(&grantRequest{}), nil, []string{unknownField}},
		"unknown field and a rule violation": {
			withUnknown(&grantRequest{UserIdentifierKey: new("")}), nil, []string{emptyKey, unknownField},
		},
		"unknown fields within": {
			&getOrCreate{
				ConnectWebviewIds: withUnknown(&clientsessionv1.IdList{}), ExpiresAt: withUnknown(&timestamppb.Timestamp{}),
			},
			nil,
			[]string{unknownField + ` for "connect_webview_ids"`, unknownField + ` for "expires_at"`},
		},
		"control characters": {
			&getOrCreate{
				ConnectWebviewIds: &clientsessionv1.IdList{Ids: []string{"a", "\x7f"}}, UserIdentifierKey: new("jane\u0085doe"),
			},
			nil,
			[]string{
				`Must not contain control characters for "connect_webview_ids.1"`,
				`Must not contain control characters for "user_identifier_key"`,
			},
		},
		"time out of range": {
			&createRequest{ExpiresAt: &timestamppb.Timestamp{Seconds: 1 << 50}}, nil, []string{`Invalid datetime for "expires_at"`},
		},
		"negative nanoseconds": {
			&getOrCreate{ExpiresAt: &timestamppb.Timestamp{Nanos: -5}}, nil, []string{`Invalid datetime for "expires_at"`},
		},

		"unread alone": {&grantRequest{}, []seamerr.FieldViolation{nullID}, []string{nullID.String()}},
		"unread and invalid, in the contract's order": {
			&grantRequest{UserIdentifierKey: new(""), UserIdentityIds: two},
			[]seamerr.FieldViolation{nullID, textForList, unknownKey},
			[]string{nullID.String(), emptyKey, textForList.String(), notOneIdentity, unknownKey.String()},
		},
		"reported once": {
			&grantRequest{UserIdentityIds: two}, []seamerr.FieldViolation{notOne}, []string{notOneIdentity},
		},
		"elements in their order": { // Two of them break a rule; the one between could not be read.
			&createRequest{UserIdentityIds: []string{"a", "", "b"}},
			[]seamerr.FieldViolation{notOne, numberForText},
			[]string{
				notOneIdentity, `Invalid uuid for "user_identity_ids.0"`, numberForText.String(),
				`Invalid uuid for "user_identity_ids.2"`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := rules.validate(&Call{Violations: test.unread}, test.message)
			if err == nil || err.Type != "invalid_input" || err.GRPCCode() != codes.InvalidArgument || err.HTTPStatus != 400 {
				t.Fatalf("error is %+v", err)
			}
			if got, want := fmt.Sprint(err.Violations), fmt.Sprint(test.want); got != want {
				t.Errorf("violations are %s\nwant %s", got, want)
			}
		})
	}
}

// FuzzValidation shows that the violations of a request, and so the time that it takes, do not grow faster than the
// request: a list of 21,800 elements that are all wrong once took 16 seconds.
func FuzzValidation(f *testing.F) {
	rules := contractRules(f)
	f.Add([]byte("\x01"), uint16(21_800))
	f.Add([]byte("\x01"), uint16(100))
	f.Add([]byte(""), uint16(65_000))
	f.Add([]byte(someUUID), uint16(2))
	f.Fuzz(func(t *testing.T, id []byte, count uint16) {
		ids := slices.Repeat([]string{string(id)}, min(int(count), MaxRequestBytes/(len(id)+2)))
		unread := make([]seamerr.FieldViolation, min(len(ids), maxCollected))
		for i := range unread {
			unread[i] = seamerr.UnexpectedType("string", "number", "user_identity_ids", strconv.Itoa(i))
		}
		for _, request := range []proto.Message{
			&grantRequest{UserIdentityIds: ids, ConnectWebviewIds: ids}, &createRequest{UserIdentityIds: ids},
			&getOrCreate{ConnectWebviewIds: &clientsessionv1.IdList{Ids: ids}, UserIdentityIds: ids},
		} {
			// A rule takes an allocation for each element that it looks at, and each violation some thirty.
			allocations := testing.AllocsPerRun(1, func() { _ = rules.validate(&Call{Violations: unread}, request) })
			if allocations > float64(10_000+3*len(ids)) {
				t.Errorf("%T with lists of %d takes %v allocations", request, len(ids), allocations)
			}
		}
	})
}

// TestUnaryRefusesOtherRequest shows that a request of another method reaches no handler.
func TestUnaryRefusesOtherRequest(t *testing.T) {
	method := Unary("/s/M", func(context.Context, *grantRequest) (*clientsessionv1.GrantAccessResponse, error) {
		t.Error("the handler was reached")
		return nil, nil
	})
	_, err := method.Handle(t.Context(), &createRequest{})
	if e := seamerr.From(err); e == nil || e.GRPCCode() != codes.Internal || e.Cause == nil {
		t.Errorf("error is %+v", e)
	}
}
