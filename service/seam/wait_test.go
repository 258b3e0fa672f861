package seam

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// failing responds with an error and notes when it was asked.
func failing(seen *seamtest.Stamps, status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		seen.Add()
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	}
}

// The retries of many calls that failed together must not come together, nor wait for longer than they have to.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for retryAfter, least := range map[string]time.Duration{
		"": 0, "0": 0, "0.5": 500 * time.Millisecond, "1": time.Second, "2": 2 * time.Second,
	} {
		t.Run("Retry-After "+retryAfter, func(t *testing.T) {
			var first, second []time.Duration
			for range 40 { // Each with a budget of its own.
				seen := &seamtest.Stamps{}
				inBubble(t, failing(seen, 429, "Retry-After", retryAfter), func(t *testing.T, b bubble) {
					// In this time only the waits take any, and they do not count as requests.
					if response, err := b.call(t.Context(), Create()); response.Attempts != 3 || response.Duration != 0 || !err.NoRetry {
						t.Fatalf("response %+v, error %+v", response, err)
					}
				})
				gaps := seen.Gaps()
				first, second = append(first, gaps[0]-least), append(second, gaps[1]-least)
			}
			for name, test := range map[string]struct {
				waits []time.Duration
				bound time.Duration
			}{"first": {first, 100 * time.Millisecond}, "second": {second, 200 * time.Millisecond}} {
				early, late := 0, 0
				for _, wait := range test.waits {
					if wait < 0 || wait >= test.bound {
						t.Errorf("%s wait is %s after what Seam asked for, want under %s", name, wait, test.bound)
					}
					if wait < test.bound/2 {
						early++
					} else {
						late++
					}
				}
				// Each half gets none of 40 once in 2^40 times.
				if early == 0 || late == 0 {
					t.Errorf("%s waits are not spread: %v", name, test.waits)
				}
			}
		})
	}
}

// A wait beyond the deadline is not begun: Seam's error says more than a timeout.
func TestWaitThatDoesNotFit(t *testing.T) {
	for _, test := range []struct {
		retryAfter string
		deadline   time.Duration
	}{{"1", time.Second}, {"1", 10 * time.Millisecond}, {"2", time.Second}, {"0.2", 200 * time.Millisecond}} {
		t.Run(fmt.Sprintf("%s s in %s", test.retryAfter, test.deadline), func(t *testing.T) {
			seen := &seamtest.Stamps{}
			inBubble(t, failing(seen, 503, "Retry-After", test.retryAfter), func(t *testing.T, b bubble) {
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				began := time.Now()
				response, err := b.call(ctx, GrantAccess())
				if err.GRPCCode() != codes.Unavailable || err.HTTPStatus != 503 || err.NoRetry || response.Attempts != 1 {
					t.Errorf("response %+v, error %+v", response, err)
				}
				if took := time.Since(began); took != 0 || seen.Len() != 1 {
					t.Errorf("%d requests, and the response came after %s", seen.Len(), took)
				}
			})
		})
	}
}

// A random backoff that leaves no time for an attempt is not begun either: the error is Seam's, and never a timeout.
func TestBackoffThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for deadline := time.Millisecond; deadline < 250*time.Millisecond; deadline += 7 * time.Millisecond {
		seen := &seamtest.Stamps{}
		inBubble(t, failing(seen, 503), func(t *testing.T, b bubble) {
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			began := time.Now()
			response, err := b.call(ctx, Get())
			if err.GRPCCode() != codes.Unavailable || err.HTTPStatus != 503 {
				t.Errorf("deadline %s: error %+v", deadline, err)
			}
			if took := time.Since(began); took >= deadline || seen.Len() != response.Attempts {
				t.Errorf("deadline %s: the call took %s, %d requests, response %+v", deadline, took, seen.Len(), response)
			}
		})
	}
}

// A caller that cancels while its call waits to be retried is let go at once, and the request is not retried.
func TestCancelDuringBackoff(t *testing.T) {
	seen := &seamtest.Stamps{}
	inBubble(t, failing(seen, 503, "Retry-After", "2", "seam-request-id", "r-1"), func(t *testing.T, b bubble) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		go func() {
			synctest.Wait() // Until nothing goes on any more: the call waits.
			cancel()
		}()
		response, err := b.call(ctx, GrantAccess())
		if err.GRPCCode() != codes.Canceled || err.HTTPStatus != 499 || time.Since(began) != 0 {
			t.Errorf("after %s: error %+v", time.Since(began), err)
		}
		// The 503 may have come after Seam did it, so cancelling does not make the outcome known.
		if !err.OutcomeUnknown {
			t.Error("the outcome is not unknown")
		}
		if seen.Len() != 1 || response.Attempts != 1 {
			t.Errorf("%d requests, response %+v", seen.Len(), response)
		}
		if response.RetryReason != nil {
			t.Errorf("one request has the retry reason %v", response.RetryReason)
		}
	})
}

// One response that never comes must not cost the whole call where the request can be retried, and must where it
// cannot: half of a create is worth nothing.
func TestTimeForOneAttempt(t *testing.T) {
	for name, test := range map[string]struct {
		at       Endpoint
		deadline time.Duration
		// want is when requests came after the first one; the backoff lengthens it a little.
		want    []time.Duration
		unknown bool
	}{
		"reads, long":        {Get(), 40 * time.Second, []time.Duration{20 * time.Second, 10 * time.Second}, false},
		"sets, long":         {GrantAccess(), 20 * time.Second, []time.Duration{10 * time.Second}, true},
		"reads, just enough": {Get(), 10 * time.Second, []time.Duration{5 * time.Second}, false},
		"reads, short":       {Get(), 9 * time.Second, nil, false},
		"adds, long":         {Create(), 40 * time.Second, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			seen := &seamtest.Stamps{}
			inBubble(t, func(w http.ResponseWriter, r *http.Request) { seen.Add(); silent(w, r) }, func(t *testing.T, b bubble) {
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				began := time.Now()
				response, err := b.call(ctx, test.at)
				if err.GRPCCode() != codes.DeadlineExceeded || err.OutcomeUnknown != test.unknown || time.Since(began) != test.deadline {
					t.Errorf("after %s: error %+v", time.Since(began), err)
				}
				gaps := seen.Gaps()
				if len(gaps) != len(test.want) || response.Attempts != len(gaps)+1 {
					t.Fatalf("requests came at distances of %v, want %v; response %+v", gaps, test.want, response)
				}
				for i, gap := range gaps {
					if gap < test.want[i]-200*time.Millisecond || gap > test.want[i]+200*time.Millisecond {
						t.Errorf("requests came at distances of %v, want about %v", gaps, test.want)
					}
				}
			})
		})
	}
}
