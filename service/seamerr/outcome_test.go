package seamerr_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// Where a retry is not safe, no client may retry the error by itself: gRPC clients retry UNAVAILABLE, and some of
// Seam's SDKs any 5xx. Over REST the service's own errors have the unknown outcome in their data; Seam's are unchanged,
// and a response without an envelope gets none.
func TestWithUnknownOutcome(t *testing.T) {
	cause := errors.New("cause")
	spent := seamerr.Unreachable(cause) // A call that was retried as often as it may be may not be retried again.
	spent.NoRetry = true
	ofSeam := func(httpStatus int, body string) *seamerr.Error {
		return seamerr.FromResponse(httpStatus, "application/json", []byte(body))
	}
	for name, test := range map[string]struct {
		e *seamerr.Error
		// code and httpStatus are those of a request of which a retry is not safe. They stay where it is.
		code       codes.Code
		httpStatus int
	}{
		"unreachable":              {seamerr.Unreachable(cause), codes.Unknown, 424},
		"unreachable, no retry":    {spent, codes.Unknown, 424},
		"timeout":                  {seamerr.Timeout(cause), codes.DeadlineExceeded, 424},
		"invalid response":         {seamerr.InvalidResponse(cause), codes.Internal, 424},
		"canceled":                 {seamerr.Canceled(cause), codes.Canceled, 499},
		"Seam's 500":               {ofSeam(500, ``), codes.Internal, 500},
		"Seam's 503":               {ofSeam(503, ``), codes.Unknown, 503},
		"Seam's 504":               {ofSeam(504, ``), codes.DeadlineExceeded, 504},
		"a CDN's 522":              {ofSeam(522, ``), codes.Unknown, 522},
		"Seam's words":             {ofSeam(503, `{"error":{"type":"t","message":"m"}}`), codes.Unknown, 503},
		"Seam's words and data":    {ofSeam(500, `{"error":{"type":"t","message":"m","data":{"a":1}}}`), codes.Internal, 500},
		"error of a later attempt": {ofSeam(404, `{"error":{"type":"client_session_not_found","message":"m"}}`), codes.NotFound, 404},
	} {
		for _, retryable := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, retryable: %t", name, retryable), func(t *testing.T) {
				wait := time.Second
				test.e.SeamRequestID, test.e.RetryAfter = "r-1", &wait
				before, want := *test.e, *test.e
				want.OutcomeUnknown = true
				if !retryable {
					want.NoRetry, want.Code, want.HTTPStatus = true, test.code, test.httpStatus
				}
				if want.Local {
					want.Message += ", and the outcome is unknown"
				}
				e := test.e.WithUnknownOutcome(retryable)
				if !reflect.DeepEqual(*e, want) {
					t.Errorf("error is %+v\nwant     %+v", *e, want)
				}
				if !reflect.DeepEqual(*test.e, before) {
					t.Errorf("the error that it was made of is now %+v", test.e)
				}
				if info := detail[*errdetails.ErrorInfo](e.GRPCStatus()); info[0].GetMetadata()["outcome"] != "unknown" {
					t.Errorf("info is %v", info)
				}
				known, knownErr := before.Envelope()
				body, err := e.Envelope()
				if err != nil || knownErr != nil {
					t.Fatal(err, knownErr)
				}
				if e.Local {
					const envelope = `{"error":{"type":%q,"message":%q,"data":{"outcome":"unknown"},"request_id":"r-1"},"ok":false}`
					same(t, body, fmt.Sprintf(envelope, want.Type, want.Message))
				} else if !bytes.Equal(body, known) {
					t.Errorf("envelope is %s, want %s", body, known)
				}
			})
		}
	}
}
