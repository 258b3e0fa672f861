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

// Where a retry could double the effect, no client may take the error for one to retry by itself: gRPC clients retry
// UNAVAILABLE, and some of Seam's SDKs any 5xx. What Seam said over REST stays what it said.
func TestWithUnknownOutcome(t *testing.T) {
	const suffix = ", and the outcome is unknown"
	cause := errors.New("cause")
	type told struct {
		code       codes.Code
		httpStatus int
	}
	for name, test := range map[string]struct {
		e *seamerr.Error
		// repeatable and not are the errors of a request that can be retried without harm, and of one that cannot.
		repeatable, not told
	}{
		"unreachable":  {seamerr.Unreachable(cause), told{codes.Unavailable, 503}, told{codes.Unknown, 424}},
		"timeout":      {seamerr.Timeout(cause), told{codes.DeadlineExceeded, 504}, told{codes.DeadlineExceeded, 424}},
		"bad answer":   {seamerr.InvalidResponse(cause), told{codes.Internal, 502}, told{codes.Internal, 424}},
		"canceled":     {seamerr.Canceled(cause), told{codes.Canceled, 499}, told{codes.Canceled, 499}},
		"Seam's 500":   {seamerr.FromResponse(500, "application/json", nil), told{codes.Internal, 500}, told{codes.Internal, 500}},
		"Seam's 502":   {seamerr.FromResponse(502, "application/json", nil), told{codes.Unavailable, 502}, told{codes.Unknown, 502}},
		"Seam's 503":   {seamerr.FromResponse(503, "application/json", nil), told{codes.Unavailable, 503}, told{codes.Unknown, 503}},
		"Seam's 504":   {seamerr.FromResponse(504, "application/json", nil), told{codes.DeadlineExceeded, 504}, told{codes.DeadlineExceeded, 504}},
		"a CDN's 522":  {seamerr.FromResponse(522, "application/json", nil), told{codes.Unavailable, 522}, told{codes.Unknown, 522}},
		"Seam's words": {seamerr.FromResponse(503, "application/json", []byte(`{"error":{"type":"t","message":"m"}}`)), told{codes.Unavailable, 503}, told{codes.Unknown, 503}},
		"what a later attempt said": {
			seamerr.FromResponse(404, "application/json", []byte(`{"error":{"type":"client_session_not_found","message":"m"}}`)),
			told{codes.NotFound, 404},
			told{codes.NotFound, 404},
		},
	} {
		for repeatable, want := range map[bool]told{true: test.repeatable, false: test.not} {
			t.Run(name+map[bool]string{true: ", repeatable", false: ""}[repeatable], func(t *testing.T) {
				wait := time.Second
				test.e.RequestID, test.e.RetryAfter = "r-1", &wait
				before := *test.e
				e := test.e.WithUnknownOutcome(repeatable)
				if e.GRPCCode() != want.code || e.HTTPStatus != want.httpStatus || !e.OutcomeUnknown || e.NoRetry == repeatable {
					t.Errorf("error is %s, %+v", e.GRPCCode(), e)
				}
				message := before.Message
				if e.Local {
					message += suffix
				}
				if e.Message != message || e.Type != before.Type {
					t.Errorf("it says %q, %q", e.Type, e.Message)
				}
				if e.RequestID != "r-1" || e.RetryAfter == nil || *e.RetryAfter != wait || e.Local != before.Local || !errors.Is(e.Cause, before.Cause) {
					t.Errorf("something was lost: %+v", e)
				}
				if !reflect.DeepEqual(*test.e, before) {
					t.Errorf("the error that it was made of is now %+v", test.e)
				}
			})
		}
	}
}

// What is final stays final, whatever else is said of it.
func TestFinalStays(t *testing.T) {
	e := seamerr.Unreachable(nil)
	e.NoRetry = true
	if !e.WithUnknownOutcome(true).NoRetry {
		t.Error("a call that was retried as often as it may be may be retried again")
	}
}

// Over REST the service's own errors say in their data that the outcome is unknown. Seam's responses are passed on as
// they came, and a response without an envelope gets none.
func TestOutcomeInEnvelope(t *testing.T) {
	for name, test := range map[string]struct {
		e    *seamerr.Error
		want string
	}{
		"ours": {
			seamerr.Unreachable(nil).WithUnknownOutcome(false),
			`{"error":{"type":"upstream_unreachable","message":"Seam could not be reached, and the outcome is unknown","data":{"outcome":"unknown"}},"ok":false}`,
		},
		"ours, repeatable": {
			seamerr.InvalidResponse(nil).WithUnknownOutcome(true),
			`{"error":{"type":"upstream_response_invalid","message":"Seam's response could not be understood, and the outcome is unknown","data":{"outcome":"unknown"}},"ok":false}`,
		},
		"ours, known": {
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

// Whoever is refused because of how much goes on is told when to come again.
func TestWaits(t *testing.T) {
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
