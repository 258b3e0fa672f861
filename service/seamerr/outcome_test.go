package seamerr_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// Where a retry is not safe, no client may retry the error by itself: gRPC clients retry UNAVAILABLE, and some of
// Seam's SDKs any 5xx. Seam's own errors are unchanged over REST.
func TestWithUnknownOutcome(t *testing.T) {
	const suffix = ", and the outcome is unknown"
	cause := errors.New("cause")
	type result struct {
		code       codes.Code
		httpStatus int
	}
	for name, test := range map[string]struct {
		e *seamerr.Error
		// retryable and not are the results for a request of which a retry is safe, and for one of which it is not.
		retryable, not result
	}{
		"unreachable":      {seamerr.Unreachable(cause), result{codes.Unavailable, 503}, result{codes.Unknown, 424}},
		"timeout":          {seamerr.Timeout(cause), result{codes.DeadlineExceeded, 504}, result{codes.DeadlineExceeded, 424}},
		"invalid response": {seamerr.InvalidResponse(cause), result{codes.Internal, 502}, result{codes.Internal, 424}},
		"canceled":         {seamerr.Canceled(cause), result{codes.Canceled, 499}, result{codes.Canceled, 499}},
		"Seam's 500":       {seamerr.FromResponse(500, "application/json", nil), result{codes.Internal, 500}, result{codes.Internal, 500}},
		"Seam's 502":       {seamerr.FromResponse(502, "application/json", nil), result{codes.Unavailable, 502}, result{codes.Unknown, 502}},
		"Seam's 503":       {seamerr.FromResponse(503, "application/json", nil), result{codes.Unavailable, 503}, result{codes.Unknown, 503}},
		"Seam's 504":       {seamerr.FromResponse(504, "application/json", nil), result{codes.DeadlineExceeded, 504}, result{codes.DeadlineExceeded, 504}},
		"a CDN's 522":      {seamerr.FromResponse(522, "application/json", nil), result{codes.Unavailable, 522}, result{codes.Unknown, 522}},
		"Seam's words":     {seamerr.FromResponse(503, "application/json", []byte(`{"error":{"type":"t","message":"m"}}`)), result{codes.Unavailable, 503}, result{codes.Unknown, 503}},
		"error of a later attempt": {
			seamerr.FromResponse(404, "application/json", []byte(`{"error":{"type":"client_session_not_found","message":"m"}}`)),
			result{codes.NotFound, 404},
			result{codes.NotFound, 404},
		},
	} {
		for retryable, want := range map[bool]result{true: test.retryable, false: test.not} {
			t.Run(name+map[bool]string{true: ", retryable", false: ""}[retryable], func(t *testing.T) {
				wait := time.Second
				test.e.SeamRequestID, test.e.RetryAfter = "r-1", &wait
				before := *test.e
				e := test.e.WithUnknownOutcome(retryable)
				if e.GRPCCode() != want.code || e.HTTPStatus != want.httpStatus || !e.OutcomeUnknown || e.NoRetry == retryable {
					t.Errorf("error is %s, %+v", e.GRPCCode(), e)
				}
				message := before.Message
				if e.Local {
					message += suffix
				}
				if e.Message != message || e.Type != before.Type {
					t.Errorf("it says %q, %q", e.Type, e.Message)
				}
				if e.SeamRequestID != "r-1" || e.RetryAfter == nil || *e.RetryAfter != wait || e.Local != before.Local || !errors.Is(e.Cause, before.Cause) {
					t.Errorf("something was lost: %+v", e)
				}
				if !reflect.DeepEqual(*test.e, before) {
					t.Errorf("the error that it was made of is now %+v", test.e)
				}
			})
		}
	}
}

// NoRetry stays set when the outcome becomes unknown.
func TestNoRetryStays(t *testing.T) {
	e := seamerr.Unreachable(nil)
	e.NoRetry = true
	if !e.WithUnknownOutcome(true).NoRetry {
		t.Error("a call that was retried as often as it may be may be retried again")
	}
}

// Over REST the service's own errors have the unknown outcome in their data. Seam's responses are passed on unchanged,
// and a response without an envelope gets none.
func TestOutcomeInEnvelope(t *testing.T) {
	for name, test := range map[string]struct {
		e    *seamerr.Error
		want string
	}{
		"own": {
			seamerr.Unreachable(nil).WithUnknownOutcome(false),
			`{"error":{"type":"upstream_unreachable","message":"Seam could not be reached, and the outcome is unknown","data":{"outcome":"unknown"}},"ok":false}`,
		},
		"own, retryable": {
			seamerr.InvalidResponse(nil).WithUnknownOutcome(true),
			`{"error":{"type":"upstream_response_invalid","message":"Seam's response could not be understood, and the outcome is unknown","data":{"outcome":"unknown"}},"ok":false}`,
		},
		"own, known": {
			seamerr.CircuitOpen(0), `{"error":{"type":"upstream_circuit_open","message":"Seam is failing and was not asked"},"ok":false}`,
		},
		"Seam's": {
			seamerr.FromResponse(500, "application/json", []byte(`{"error":{"type":"t","message":"m"}}`)).WithUnknownOutcome(false),
			`{"error":{"type":"t","message":"m"},"ok":false}`,
		},
		"Seam's, with data": {
			seamerr.FromResponse(500, "application/json", []byte(`{"error":{"type":"t","message":"m","data":{"a":1}}}`)).WithUnknownOutcome(true),
			`{"error":{"type":"t","message":"m","data":{"a":1}},"ok":false}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.e.Envelope()
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, test.want)
		})
	}
	if got, err := seamerr.FromResponse(503, "application/json", nil).WithUnknownOutcome(false).Envelope(); got != nil || err != nil {
		t.Errorf("an envelope was made up: %s, %v", got, err)
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
