package seam

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestRetrySucceeds shows that callers do not see that a request failed as long as one of its retries does not.
func TestRetrySucceeds(t *testing.T) {
	// All but the end of the first response can be read, and must not get into the second.
	unreadable := responding(200, `{"client_session":{"workspace_id":"of-the-first"},"ok":yes}`, "seam-request-id", "r-1")
	good := responding(200, seamtest.Success, "seam-request-id", "r-2")
	failed, secret := responding(503, ``), responding(500, `{"error":{"type":"t","message":"secret"}}`)
	for name, test := range map[string]struct {
		handlers []http.HandlerFunc
		retried  string
	}{
		"at once":                    {[]http.HandlerFunc{good}, "<nil>"},
		"the second time":            {[]http.HandlerFunc{failed, good}, "HTTP status 503, empty body"},
		"the third time":             {[]http.HandlerFunc{failed, secret, good}, "HTTP status 500, t"},
		"after a response half read": {[]http.HandlerFunc{unreadable, good}, "read Seam's 200 response: ok: not JSON at byte 55"},
		"after an end": {
			[]http.HandlerFunc{hangUp, good},
			"call 127.0.0.1: stream error: stream ID 1; INTERNAL_ERROR; received from peer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, inTurn(test.handlers...), func(t *testing.T, b *bubble) {
				response, out, err := call(t.Context(), b.Client, GrantAccess())
				if err != nil {
					t.Fatal(err, err.Cause)
				}
				if !out.GetOk() || out.GetClientSession().GetToken() != "t" || out.GetClientSession().GetWorkspaceId() != "" {
					t.Errorf("response is %v", out)
				}
				attempts, counted := len(test.handlers), 0
				if response.SeamRequestID != "r-2" || response.HTTPStatus != 200 || response.Attempts != attempts {
					t.Errorf("response is %+v", response)
				}
				if got := fmt.Sprint(response.RetryReason); got != test.retried {
					t.Errorf("retried because of %q, want %q", got, test.retried)
				}
				for number := range maxAttempts {
					for _, outcome := range b.metrics.attempts[number+1] {
						counted += value(t, outcome)
					}
				}
				last := value(t, b.metrics.attempts[attempts][succeeded])
				if n, _ := b.requests(); n != attempts || counted != attempts || last != 1 {
					t.Errorf("%d requests, %d are counted, %d as a success at last", n, counted, last)
				}
			})
		})
	}
}

// TestOutcomesInTurn shows that once one attempt may have been applied, no later one settles it: a session that is not
// found may be the one that the first attempt deleted.
func TestOutcomesInTurn(t *testing.T) {
	failed, limited, later := responding(503, ``), responding(429, ``), responding(429, ``, "retry-after", "60")
	missing := responding(404, `{"error":{"type":"client_session_not_found","message":"m"}}`)
	for name, test := range map[string]struct {
		at       Endpoint
		handlers []http.HandlerFunc
		want     result
	}{
		"deleted or not there":      {Delete(), []http.HandlerFunc{failed, missing}, result{2, codes.NotFound, 404, true, false}},
		"not there at all":          {Delete(), []http.HandlerFunc{limited, missing}, result{2, codes.NotFound, 404, false, false}},
		"not there to be read":      {Get(), []http.HandlerFunc{failed, missing}, result{2, codes.NotFound, 404, false, false}},
		"created after all, or not": {Create(), []http.HandlerFunc{limited, failed}, result{2, codes.Unknown, 503, true, true}},
		"told to wait long":         {GrantAccess(), []http.HandlerFunc{hangUp, later}, result{2, codes.ResourceExhausted, 429, true, false}},
		"ambiguous, then rejected":  {GrantAccess(), []http.HandlerFunc{hangUp, limited}, result{3, codes.ResourceExhausted, 429, true, true}},
		"three different ones":      {Revoke(), []http.HandlerFunc{limited, failed, hangUp}, result{3, codes.Unavailable, 503, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, inTurn(test.handlers...), func(t *testing.T, b *bubble) {
				response, out, err := call(t.Context(), b.Client, test.at)
				checkFailure(t, response, out, err, test.want)
			})
		})
	}
}

// TestRetriesAreBounded shows that when Seam fails often, retries do not double what it gets: a tenth more than there
// are calls, and a few for the start.
func TestRetriesAreBounded(t *testing.T) {
	const calls = 300
	dice := rand.New(rand.NewPCG(1, 2)) // Under half of the attempts fail, or the circuit breaker would open.
	good, bad := responding(200, seamtest.Success), responding(503, ``)
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		if dice.Float64() < 0.3 { // The calls come one after the other.
			bad(w, r)
			return
		}
		good(w, r)
	}, func(t *testing.T, b *bubble) {
		failed := 0
		for range calls {
			_, _, err := call(t.Context(), b.Client, Get())
			if err == nil {
				continue
			}
			failed++
			if wantError(t, err, "", codes.Unavailable); !err.NoRetry {
				t.Errorf("a call that was not retried any more ends with %+v", err)
			}
		}
		requests, _ := b.requests()
		if requests > calls*11/10+10 || requests < calls+20 {
			t.Errorf("%d requests for %d calls", requests, calls)
		}
		if denied := value(t, b.metrics.denied); denied == 0 || denied > failed {
			t.Errorf("the metric counts %d denied retries, and %d calls failed", denied, failed)
		}
	})
}

// TestCancelDuringBackoff shows that a caller that cancels while its call waits to be retried is let go at once, that
// the request is not retried, and that its outcome does not become known by that.
func TestCancelDuringBackoff(t *testing.T) {
	for status, unknown := range map[int]bool{503: true, 429: false} {
		inBubble(t, responding(status, ``, "Retry-After", "2"), func(t *testing.T, b *bubble) {
			ctx, cancel := context.WithCancel(t.Context())
			began := time.Now()
			go func() {
				synctest.Wait() // Until nothing goes on any more: the call waits.
				cancel()
			}()
			response, out, err := call(ctx, b.Client, GrantAccess())
			checkFailure(t, response, out, err, result{1, codes.Canceled, 499, unknown, false})
			if n, _ := b.requests(); n != 1 || time.Since(began) != 0 {
				t.Errorf("%d requests, after %s", n, time.Since(began))
			}
		})
	}
}
