package seamerr_test

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// Each error of Seam, or of a proxy before it, has a suitable code, and a reason in the form that ErrorInfo asks for.
func TestCodeOfSeamsErrors(t *testing.T) {
	reason := regexp.MustCompile(`^[A-Z][A-Z0-9_]+[A-Z0-9]$`)
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
		{402, "payment_required", codes.InvalidArgument},
		{403, "action_forbidden", codes.PermissionDenied},
		{404, "client_session_not_found", codes.NotFound},
		{404, "thing_already_exists", codes.NotFound}, // The type refines a 400 alone.
		{408, "", codes.DeadlineExceeded},
		{409, "conflict", codes.Aborted},
		{412, "", codes.FailedPrecondition},
		{413, "payload_too_large", codes.ResourceExhausted},
		{418, "", codes.InvalidArgument},
		{429, "rate_limited", codes.ResourceExhausted},
		{499, "", codes.InvalidArgument},
		{500, "internal_server_error", codes.Internal},
		{501, "", codes.Unimplemented},
		{502, "", codes.Unavailable},
		{503, "", codes.Unavailable},
		{504, "", codes.DeadlineExceeded},
		{520, "", codes.Internal},
		{521, "", codes.Unavailable},
		{522, "", codes.Unavailable},
		{523, "", codes.Unavailable},
		{524, "", codes.DeadlineExceeded},
		{525, "", codes.Unavailable},
		{526, "", codes.Unavailable},
		{599, "", codes.Internal},
		{302, "", codes.Internal},
		{0, "", codes.Internal},
		{-1, "", codes.Internal},
	} {
		t.Run(fmt.Sprintf("%d %s", test.httpStatus, test.errorType), func(t *testing.T) {
			e := &seamerr.Error{HTTPStatus: test.httpStatus, Type: test.errorType}
			st := e.GRPCStatus()
			if e.GRPCCode() != test.want || st.Code() != test.want {
				t.Errorf("code is %s, that of the status %s, want %s", e.GRPCCode(), st.Code(), test.want)
			}
			if info := detail[*errdetails.ErrorInfo](st); len(info) != 1 || !reason.MatchString(info[0].GetReason()) {
				t.Errorf("info is %v", info)
			}
		})
	}
}

// TestErrorInfo shows the errors that the service makes or passes on. The code of the service's own errors does not
// follow from the HTTP status: an invalid response is a 502 over REST, but must not look retryable over gRPC.
func TestErrorInfo(t *testing.T) {
	const ofSeam, own = "connect.getseam.com", "client-session-service"
	for name, test := range map[string]struct {
		e          *seamerr.Error
		local      bool
		httpStatus int
		code       codes.Code
		domain     string
		errorType  string
		message    string
	}{
		"no credential": {
			seamerr.Unauthorized(), true, 401, codes.Unauthenticated,
			ofSeam, "unauthorized", "No authentication methods succeeded",
		},
		"no JSON": {seamerr.InvalidJSON(nil), true, 400, codes.InvalidArgument, ofSeam, "invalid_input", "Invalid JSON"},
		"no JSON, by its type": {
			seamerr.InvalidContentType("PATCH"), true, 400, codes.InvalidArgument,
			ofSeam, "invalid_content_type", `PATCH requests must have Content-Type header with "application/json"`,
		},
		"header": {
			seamerr.InvalidHeader("authorization"), true, 400, codes.InvalidArgument,
			ofSeam, "invalid_input", "Header authorization has characters that are not allowed",
		},
		"too large": {
			seamerr.PayloadTooLarge(128 << 10), true, 413, codes.ResourceExhausted,
			own, "payload_too_large", "Request body is larger than 128 KiB",
		},
		"body": {
			seamerr.UnreadableBody(nil), true, 400, codes.InvalidArgument,
			ofSeam, "invalid_input", "Request body could not be read",
		},
		"path": {seamerr.NotFound(), true, 404, codes.NotFound, ofSeam, "not_found", "Not found"},
		"method": {
			seamerr.MethodNotAllowed([]string{"PATCH", "POST"}), true, 405, codes.InvalidArgument,
			ofSeam, "method_not_allowed", "only PATCH,POST accepted",
		},
		"unreachable": {
			seamerr.Unreachable(nil), true, 503, codes.Unavailable,
			own, "upstream_unreachable", "Seam could not be reached",
		},
		"unreachable, outcome unknown": {
			seamerr.Unreachable(nil).WithUnknownOutcome(false), true, 424, codes.Unknown,
			own, "upstream_unreachable", "Seam could not be reached, and the outcome is unknown",
		},
		"timeout": {
			seamerr.Timeout(nil), true, 504, codes.DeadlineExceeded,
			own, "upstream_timeout", "Seam did not respond in time",
		},
		"canceled": {seamerr.Canceled(nil), true, 499, codes.Canceled, own, "canceled", "The caller cancelled the call"},
		"not understood": {
			seamerr.InvalidResponse(nil), true, 502, codes.Internal,
			own, "upstream_response_invalid", "Seam's response could not be understood",
		},
		"internal": {
			seamerr.Internal(nil), true, 500, codes.Internal,
			ofSeam, "internal_server_error", "Internal error",
		},
		"failing": {
			seamerr.CircuitOpen(0), true, 503, codes.Unavailable,
			own, "upstream_circuit_open", "Seam is failing and was not asked",
		},
		// Clients do not retry RESOURCE_EXHAUSTED by themselves, so the load is not multiplied by it.
		"overloaded": {
			seamerr.Overloaded(0), true, 503, codes.ResourceExhausted,
			own, "overloaded", "The service has too many calls in flight",
		},
		"caller over its rate": {
			seamerr.CallerRateLimited(0), true, 429, codes.ResourceExhausted,
			own, "caller_rate_limited", "The caller makes more calls than it may",
		},
		"Seam's": {
			&seamerr.Error{HTTPStatus: 404, Type: "client_session_not_found", Message: "m"}, false, 404, codes.NotFound,
			ofSeam, "client_session_not_found", "m",
		},
		// The sender decides about the domain, not only the type.
		"Seam's, of an own type": {
			&seamerr.Error{HTTPStatus: 502, Type: "upstream_timeout", Message: "m"}, false, 502, codes.Unavailable,
			ofSeam, "upstream_timeout", "m",
		},
		"without an envelope": {
			seamerr.FromResponse(503, "application/json", nil).WithUnknownOutcome(false), false, 503, codes.Unknown,
			own, "", "Seam responded with HTTP status 503 without an error of its own",
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, st := test.e, test.e.GRPCStatus()
			if e.HTTPStatus != test.httpStatus || e.Type != test.errorType || e.Message != test.message || e.Local != test.local {
				t.Errorf("error is %+v", e)
			}
			if st.Code() != test.code || st.Message() != test.message || e.Error() != test.code.String()+": "+test.message {
				t.Errorf("status is %v, Error() %q", st, e.Error())
			}
			reason := cmp.Or(test.errorType, strings.ReplaceAll(http.StatusText(test.httpStatus), " ", "_"))
			metadata := map[string]string{"http_status": strconv.Itoa(test.httpStatus)}
			if test.errorType != "" {
				metadata["type"] = test.errorType
			}
			if e.OutcomeUnknown {
				metadata["outcome"] = "unknown"
			}
			info := detail[*errdetails.ErrorInfo](st)
			if len(info) != 1 || info[0].GetReason() != strings.ToUpper(reason) || info[0].GetDomain() != test.domain ||
				!maps.Equal(info[0].GetMetadata(), metadata) {
				t.Errorf("info is %v", info)
			}
		})
	}
}

// Refusals under load have a Retry-After.
func TestRetryAfterOfRefusals(t *testing.T) {
	const wait = 1500 * time.Millisecond
	for _, e := range []*seamerr.Error{seamerr.Overloaded(wait), seamerr.CallerRateLimited(wait), seamerr.CircuitOpen(wait)} {
		t.Run(e.Type, func(t *testing.T) {
			infos := detail[*errdetails.RetryInfo](e.GRPCStatus())
			if len(infos) != 1 || infos[0].GetRetryDelay().AsDuration() != wait || e.RetryAfter == nil || *e.RetryAfter != wait {
				t.Errorf("retry after %v, details %v", e.RetryAfter, infos)
			}
			// None of these was sent to Seam, so nothing is unclear and everybody may try again.
			if e.OutcomeUnknown || e.NoRetry {
				t.Errorf("error is %+v", e)
			}
		})
	}
}
