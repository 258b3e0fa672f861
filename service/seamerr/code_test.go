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

// wantInfo fails unless the status of an error has one ErrorInfo, with the facts of the error.
func wantInfo(t *testing.T, e *seamerr.Error, reason, domain string) {
	t.Helper()
	metadata := map[string]string{
		"http_status": strconv.Itoa(e.HTTPStatus), "type": cmp.Or(e.Type, strings.ToLower(reason)),
	}
	if e.OutcomeUnknown {
		metadata["outcome"] = "unknown"
	}
	info := detail[*errdetails.ErrorInfo](e.GRPCStatus())
	if len(info) != 1 || info[0].GetReason() != reason || info[0].GetDomain() != domain || !maps.Equal(info[0].GetMetadata(), metadata) {
		t.Errorf("info is %v, want %s of %s with %v", info, reason, domain, metadata)
	}
}

// Each error of Seam, or of a proxy before it, has a suitable code.
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
		{502, "upstream_timeout", codes.Unavailable}, // It is Seam's, though the service has an error of this type too.
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
	} {
		t.Run(fmt.Sprintf("%d %s", test.httpStatus, test.errorType), func(t *testing.T) {
			e := &seamerr.Error{HTTPStatus: test.httpStatus, Type: test.errorType}
			st := e.GRPCStatus()
			if e.GRPCCode() != test.want || st.Code() != test.want {
				t.Errorf("code is %s, that of the status %s, want %s", e.GRPCCode(), st.Code(), test.want)
			}
			// A proxy may have a status of its own.
			reason := cmp.Or(test.errorType, http.StatusText(test.httpStatus), fmt.Sprintf("HTTP status %d", test.httpStatus))
			wantInfo(t, e, strings.ToUpper(regexp.MustCompile(`\W`).ReplaceAllString(reason, "_")), "connect.getseam.com")
		})
	}
}

// TestErrorInfo shows the errors of the service's own. Their code does not follow from the HTTP status: an invalid
// response is a 502 over REST, but must not look retryable over gRPC.
func TestErrorInfo(t *testing.T) {
	const ofSeam, own = "connect.getseam.com", "client-session-service"
	for _, test := range []struct {
		e          *seamerr.Error
		httpStatus int
		code       codes.Code
		domain     string
		errorType  string
		message    string
	}{
		{seamerr.Unauthorized(), 401, codes.Unauthenticated, ofSeam, "unauthorized", "No authentication methods succeeded"},
		{seamerr.InvalidJSON(nil), 400, codes.InvalidArgument, ofSeam, "invalid_input", "Invalid JSON"},
		{
			seamerr.InvalidContentType("PATCH"), 400, codes.InvalidArgument,
			ofSeam, "invalid_content_type", `PATCH requests must have Content-Type header with "application/json"`,
		},
		{
			seamerr.InvalidHeader("authorization"), 400, codes.InvalidArgument,
			ofSeam, "invalid_input", "Header authorization has characters that are not allowed",
		},
		{
			seamerr.PayloadTooLarge(128 << 10), 413, codes.ResourceExhausted,
			own, "payload_too_large", "Request body is larger than 128 KiB",
		},
		{seamerr.UnreadableBody(nil), 400, codes.InvalidArgument, ofSeam, "invalid_input", "Request body could not be read"},
		{seamerr.NotFound(), 404, codes.NotFound, ofSeam, "not_found", "Not found"},
		{
			seamerr.MethodNotAllowed([]string{"PATCH", "POST"}), 405, codes.InvalidArgument,
			ofSeam, "method_not_allowed", "only PATCH,POST accepted",
		},
		{seamerr.Unreachable(nil), 503, codes.Unavailable, own, "upstream_unreachable", "Seam could not be reached"},
		{seamerr.Timeout(nil), 504, codes.DeadlineExceeded, own, "upstream_timeout", "Seam did not respond in time"},
		{seamerr.Canceled(nil), 499, codes.Canceled, own, "canceled", "The caller cancelled the call"},
		{
			seamerr.InvalidResponse(nil), 502, codes.Internal,
			own, "upstream_response_invalid", "Seam's response could not be understood",
		},
		{seamerr.Internal(nil), 500, codes.Internal, ofSeam, "internal_server_error", "Internal error"},
		{seamerr.CircuitOpen(0, nil), 503, codes.Unavailable, own, "upstream_circuit_open", "Seam is failing and was not asked"},
		// Clients do not retry RESOURCE_EXHAUSTED by themselves, so the load is not multiplied by it.
		{seamerr.Overloaded(0), 503, codes.ResourceExhausted, own, "overloaded", "The service has too many calls in flight"},
		{
			seamerr.CallerRateLimited(0), 429, codes.ResourceExhausted,
			own, "caller_rate_limited", "The caller makes more calls than it may",
		},
	} {
		t.Run(test.message, func(t *testing.T) {
			e, st := test.e, test.e.GRPCStatus()
			if e.HTTPStatus != test.httpStatus || e.Type != test.errorType || e.Message != test.message || !e.Local {
				t.Errorf("error is %+v", e)
			}
			if st.Code() != test.code || st.Message() != test.message || e.Error() != test.code.String()+": "+test.message {
				t.Errorf("status is %v, Error() %q", st, e.Error())
			}
			wantInfo(t, e, strings.ToUpper(test.errorType), test.domain)
		})
	}
}

// Refusals under load have a Retry-After.
func TestRetryAfterOfRefusals(t *testing.T) {
	const wait = 1500 * time.Millisecond
	for _, e := range []*seamerr.Error{seamerr.Overloaded(wait), seamerr.CallerRateLimited(wait), seamerr.CircuitOpen(wait, nil)} {
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
