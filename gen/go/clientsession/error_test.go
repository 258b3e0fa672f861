package clientsession_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
)

// TestFromError reads each part of an error from where docs/errors.md says it is.
func TestFromError(t *testing.T) {
	object, err := structpb.NewStruct(map[string]any{"device_count": 2})
	if err != nil {
		t.Fatal(err)
	}
	delay := 1500 * time.Millisecond
	for name, test := range map[string]struct {
		err  error
		call bool
		want clientsession.Error
		text string
	}{
		"all details": {
			err: withDetails(t, codes.NotFound, "Could not find client session",
				&errdetails.ErrorInfo{Reason: "CLIENT_SESSION_NOT_FOUND", Domain: "connect.getseam.com", Metadata: map[string]string{
					"type": "client_session_not_found", "http_status": "404", "outcome": "unknown", "x-request-id": "order-17",
				}},
				&errdetails.RequestInfo{RequestId: "57bafce8"},
				&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
					{Field: "connected_account_ids[0]", Description: "Required"}, {Description: "at least one"},
				}},
				&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}, object),
			call: true,
			want: clientsession.Error{
				Code: codes.NotFound, Reason: clientsession.ReasonClientSessionNotFound, Domain: "connect.getseam.com",
				Type: "client_session_not_found", Message: "Could not find client session", HTTPStatus: 404,
				Violations:     []clientsession.Violation{{"connected_account_ids[0]", "Required"}, {"", "at least one"}},
				OutcomeUnknown: true, RetryDelay: &delay, RequestID: "57bafce8", CallID: "order-17",
				Data: map[string]any{"device_count": 2.0},
			},
			text: "CLIENT_SESSION_NOT_FOUND: Could not find client session (request id 57bafce8, call id order-17)",
		},
		"data that is no object": {
			err: withDetails(t, codes.Internal, "no", structpb.NewListValue(&structpb.ListValue{
				Values: []*structpb.Value{structpb.NewStringValue("a")},
			})),
			call: true,
			want: clientsession.Error{Code: codes.Internal, Message: "no", Data: []any{"a"}},
			text: "Internal: no",
		},
		"Seam has not responded": {
			err: withDetails(t, codes.ResourceExhausted, "busy", &errdetails.ErrorInfo{
				Reason: "OVERLOADED", Metadata: map[string]string{"http_status": "not a number", "x-request-id": "order-17"},
			}),
			call: true,
			want: clientsession.Error{Code: codes.ResourceExhausted, Reason: clientsession.ReasonOverloaded, Message: "busy", CallID: "order-17"},
			text: "OVERLOADED: busy (call id order-17)",
		},
		"no call id": {
			err:  withDetails(t, codes.Unavailable, "down", &errdetails.RequestInfo{RequestId: "57bafce8"}),
			call: true,
			want: clientsession.Error{Code: codes.Unavailable, Message: "down", RequestID: "57bafce8"},
			text: "Unavailable: down (request id 57bafce8)",
		},
		"a wrapped error": {
			err:  fmt.Errorf("grant: %w", status.Error(codes.DeadlineExceeded, "context deadline exceeded")),
			call: true,
			want: clientsession.Error{Code: codes.DeadlineExceeded, Message: "context deadline exceeded"},
			text: "DeadlineExceeded: context deadline exceeded",
		},
		"not of a call": {
			err:  errors.New("disk full"),
			want: clientsession.Error{Code: codes.Unknown, Message: "disk full"},
			text: "Unknown: disk full",
		},
		"no error": {text: "OK: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, call := clientsession.FromError(test.err)
			if call != test.call {
				t.Errorf("of a call: %t, want %t", call, test.call)
			}
			if text := got.Error(); text != test.text {
				t.Errorf("the text is %q, want %q", text, test.text)
			}
			if test.err != nil && (status.Code(got) != test.want.Code || !errors.Is(got, test.err)) {
				t.Errorf("%v does not unwrap to %v", got, test.err)
			}
			if !reflect.DeepEqual(fields(*got), fields(test.want)) {
				t.Errorf("got  %+v\nwant %+v", *got, test.want)
			}
		})
	}
}

// fields are the exported fields of an error.
func fields(e clientsession.Error) map[string]any {
	fields, value := map[string]any{}, reflect.ValueOf(e)
	for field := range value.Type().Fields() {
		if field.IsExported() {
			fields[field.Name] = value.FieldByIndex(field.Index).Interface()
		}
	}
	return fields
}

func withDetails(t *testing.T, code codes.Code, message string, details ...protoadapt.MessageV1) error {
	t.Helper()
	st, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}
