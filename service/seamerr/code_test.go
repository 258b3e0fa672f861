package seamerr_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

func TestCodeOfSeamsErrors(t *testing.T) {
	for _, test := range []struct {
		httpStatus int
		errorType  string
		want       codes.Code
	}{
		{400, "invalid_input", codes.InvalidArgument},
		{400, "", codes.InvalidArgument},
		{400, "user_identity_already_exists", codes.AlreadyExists},
		{400, "already_exists", codes.InvalidArgument}, // Not a thing that exists, so not the pattern.
		{401, "unauthorized", codes.Unauthenticated},
		{401, "", codes.Unauthenticated},
		{402, "payment_required", codes.InvalidArgument},
		{403, "action_forbidden", codes.PermissionDenied},
		{404, "client_session_not_found", codes.NotFound},
		{404, "thing_already_exists", codes.NotFound}, // The type refines a 400 alone.
		{405, "method_not_allowed", codes.InvalidArgument},
		{408, "", codes.DeadlineExceeded},
		{409, "conflict", codes.Aborted},
		{412, "", codes.FailedPrecondition},
		{413, "payload_too_large", codes.ResourceExhausted},
		{418, "", codes.InvalidArgument},
		{422, "", codes.InvalidArgument},
		{429, "rate_limited", codes.ResourceExhausted},
		{500, "internal_server_error", codes.Internal},
		{501, "", codes.Unimplemented},
		{502, "", codes.Unavailable},
		{503, "", codes.Unavailable},
		{504, "", codes.DeadlineExceeded},
		{599, "", codes.Internal},
		{302, "", codes.Internal},
		{200, "", codes.Internal},
		{0, "", codes.Internal},
		{-1, "", codes.Internal},
	} {
		t.Run(fmt.Sprintf("%d %s", test.httpStatus, test.errorType), func(t *testing.T) {
			e := &seamerr.Error{HTTPStatus: test.httpStatus, Type: test.errorType}
			if got := e.GRPCCode(); got != test.want {
				t.Errorf("code is %s, want %s", got, test.want)
			}
			if got := e.GRPCStatus().Code(); got != test.want {
				t.Errorf("code of the status is %s, want %s", got, test.want)
			}
		})
	}
}

// The code of the service's own errors does not follow from the HTTP status: an invalid response is a 502 over REST,
// but must not look retryable over gRPC.
func TestErrorsOfTheService(t *testing.T) {
	for _, test := range []struct {
		e          *seamerr.Error
		httpStatus int
		errorType  string
		code       codes.Code
		message    string
	}{
		{seamerr.Unauthorized(), 401, "unauthorized", codes.Unauthenticated, "No authentication methods succeeded"},
		{seamerr.InvalidJSON(nil), 400, "invalid_input", codes.InvalidArgument, "Invalid JSON"},
		{
			seamerr.InvalidContentType("PATCH"), 400, "invalid_content_type", codes.InvalidArgument,
			`PATCH requests must have Content-Type header with "application/json"`,
		},
		{seamerr.InvalidHeader("authorization"), 400, "invalid_input", codes.InvalidArgument, "Header authorization has characters that are not allowed"},
		{seamerr.PayloadTooLarge(128 << 10), 413, "payload_too_large", codes.ResourceExhausted, "Request body is larger than 128 KiB"},
		{seamerr.UnreadableBody(nil), 400, "invalid_input", codes.InvalidArgument, "Request body could not be read"},
		{seamerr.NotFound(), 404, "not_found", codes.NotFound, "Not found"},
		{
			seamerr.MethodNotAllowed([]string{"PATCH", "POST"}), 405, "method_not_allowed", codes.InvalidArgument,
			"only PATCH,POST accepted",
		},
		{seamerr.Unreachable(nil), 503, "upstream_unreachable", codes.Unavailable, "Seam could not be reached"},
		{seamerr.Timeout(nil), 504, "upstream_timeout", codes.DeadlineExceeded, "Seam did not respond in time"},
		{seamerr.Canceled(nil), 499, "canceled", codes.Canceled, "The caller cancelled the call"},
		{seamerr.InvalidResponse(nil), 502, "upstream_response_invalid", codes.Internal, "Seam's response could not be understood"},
		{seamerr.Internal(nil), 500, "internal_server_error", codes.Internal, "Internal error"},
		{
			seamerr.CircuitOpen(time.Second), 503, "upstream_circuit_open", codes.Unavailable, "Seam is failing and was not asked",
		},
		// Clients do not retry RESOURCE_EXHAUSTED by themselves, so the load is not multiplied by it.
		{
			seamerr.Overloaded(time.Second), 503, "overloaded", codes.ResourceExhausted, "The service has too many calls in flight",
		},
		{
			seamerr.CallerRateLimited(time.Second), 429, "caller_rate_limited", codes.ResourceExhausted,
			"The caller makes more calls than it may",
		},
	} {
		t.Run(test.errorType, func(t *testing.T) {
			e := test.e
			if e.HTTPStatus != test.httpStatus || e.Type != test.errorType || e.Message != test.message || !e.Local {
				t.Errorf("error is %+v", e)
			}
			if got := e.GRPCStatus(); got.Code() != test.code || got.Message() != test.message {
				t.Errorf("status is %v, want %s", got, test.code)
			}
			if want := test.code.String() + ": " + test.message; e.Error() != want {
				t.Errorf("Error() is %q, want %q", e.Error(), want)
			}
		})
	}
}
