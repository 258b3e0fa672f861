package seam

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestBackoff shows that the retries of many calls that failed together do not come together, nor wait for longer than
// they have to. The waits do not count for the time that the requests took.
func TestBackoff(t *testing.T) {
	const took = 3 * time.Millisecond
	for retryAfter, least := range map[string]time.Duration{"": 0, "1": time.Second} {
		var waits [maxAttempts - 1][]time.Duration
		respond := responding(429, ``, "Retry-After", retryAfter)
		slowly := func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(took)
			respond(w, r)
		}
		for range 40 { // Each with a budget of its own.
			inBubble(t, slowly, func(t *testing.T, b *bubble) {
				response, _, err := call(t.Context(), b.Client, Create())
				if response.Attempts != maxAttempts || response.Duration != maxAttempts*took || !err.NoRetry {
					t.Fatalf("response %+v, error %+v", response, err)
				}
				_, gaps := b.requests()
				for i, gap := range gaps {
					waits[i] = append(waits[i], gap-least-took)
				}
			})
		}
		for i, bound := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond} {
			// Each half of the time gets none of 40 once in 2^40 times.
			if shortest, longest := slices.Min(waits[i]), slices.Max(waits[i]); shortest < 0 || shortest >= bound/2 ||
				longest < bound/2 || longest >= bound {
				t.Errorf("wait %d is from %s to %s after what Seam asked for, want under %s", i, shortest, longest, bound)
			}
		}
	}
}

// TestRetryAfter shows that a retry is never before Seam's Retry-After, also where that is a date by another clock. A
// long one is passed on to the caller and not waited for here, and an invalid one is ignored.
func TestRetryAfter(t *testing.T) {
	const none = time.Duration(-1)
	at := func(year, seconds int) string {
		return time.Date(year, 1, 1, 0, 0, seconds, 0, time.UTC).Format(http.TimeFormat)
	}
	now := at(2000, 0) // In a bubble.
	for _, test := range []struct {
		date, value string
		want        time.Duration
	}{
		{now, "0", 0},
		{now, "-0", 0},
		{now, "1", time.Second},
		{now, "1.5", 1500 * time.Millisecond},
		{now, "2", 2 * time.Second},
		{now, "2.001", 2001 * time.Millisecond},
		{now, "3600", time.Hour},
		{now, "3601", time.Hour},
		{now, "1e308", time.Hour},
		{now, "+inf", time.Hour},
		{now, "", none},
		{now, "-1", none},
		{now, "-Inf", none},
		{now, "NaN", none},
		{now, "soon", none},
		{now, "5 s", none},
		{now, "5,10", none},
		{now, "2099-01-01T00:00:00Z", none},
		{now, at(2000, 1), time.Second},
		{now, at(2000, 60), time.Minute},
		{now, at(1999, 0), 0},
		{now, at(9999, 0), time.Hour},
		{at(2001, 0), "1", time.Second},
		{at(2001, 0), at(2001, 1), time.Second},
		{at(1999, 0), at(1999, 1), time.Second},
		{at(2001, 0), at(2001, 60), time.Minute},
	} {
		t.Run(test.date+", "+test.value, func(t *testing.T) {
			for _, status := range []int{429, 500, 503} {
				failed := responding(status, ``, "Date", test.date, "Retry-After", test.value)
				inBubble(t, inTurn(failed, responding(200, seamtest.Success)), func(t *testing.T, b *bubble) {
					_, _, err := call(t.Context(), b.Client, GrantAccess())
					if test.want > maxRetryAfterWait {
						if err == nil || err.RetryAfter == nil || *err.RetryAfter != test.want || err.NoRetry {
							t.Errorf("%d: error %+v", status, err)
						}
						return
					}
					_, gaps := b.requests()
					least := max(test.want, 0)
					if err != nil || len(gaps) != 1 || gaps[0] < least || gaps[0] >= least+firstBackoff {
						t.Errorf("%d: the second request came after %s, error %v", status, gaps, err)
					}
				})
				inBubble(t, failed, func(t *testing.T, b *bubble) {
					_, _, err := once(t.Context(), b.Client)
					if got := err.RetryAfter; (got == nil) != (test.want == none) || (got != nil && *got != test.want) {
						t.Errorf("%d: the caller gets %v", status, got)
					}
				})
			}
		})
	}
}

// TestWaitThatDoesNotFit shows that a wait beyond the deadline, or a backoff that leaves no time for an attempt, is not
// begun: Seam's error says more than a timeout.
func TestWaitThatDoesNotFit(t *testing.T) {
	deadlines := map[string][]time.Duration{
		"1": {time.Second, 10 * time.Millisecond}, "2": {time.Second}, "0.2": {200 * time.Millisecond},
	}
	for deadline := time.Millisecond; deadline < 250*time.Millisecond; deadline += 7 * time.Millisecond {
		deadlines[""] = append(deadlines[""], deadline)
	}
	for retryAfter, all := range deadlines {
		for _, deadline := range all {
			t.Run(fmt.Sprintf("%s s in %s", retryAfter, deadline), func(t *testing.T) {
				inBubble(t, responding(503, ``, "Retry-After", retryAfter), func(t *testing.T, b *bubble) {
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					defer cancel()
					began := time.Now()
					response, _, err := call(ctx, b.Client, GrantAccess())
					wantError(t, err, "", codes.Unavailable)
					waits := retryAfter == ""
					if !waits && (response.Attempts != 1 || err.NoRetry) {
						t.Errorf("response %+v, error %+v", response, err)
					}
					if took := time.Since(began); took >= deadline || !waits && took != 0 {
						t.Errorf("the call took %s, response %+v", took, response)
					}
				})
			})
		}
	}
}

// TestTimeForOneAttempt shows that one response that never comes does not cost the whole call where the request can be
// retried, and does where it cannot: half of a create is worth nothing.
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
			inBubble(t, silent, func(t *testing.T, b *bubble) {
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				began := time.Now()
				_, _, err := call(ctx, b.Client, test.at)
				if err.GRPCCode() != codes.DeadlineExceeded || err.OutcomeUnknown != test.unknown || time.Since(began) != test.deadline {
					t.Errorf("after %s: error %+v", time.Since(began), err)
				}
				_, gaps := b.requests()
				if !slices.EqualFunc(gaps, test.want, func(gap, want time.Duration) bool {
					return (gap - want).Abs() <= 2*firstBackoff
				}) {
					t.Errorf("requests came at distances of %v, want about %v", gaps, test.want)
				}
			})
		})
	}
}

// TestHungSeam shows that an attempt without a response in time is a timeout, whosever deadline has passed, and tells
// how long it has waited. Only one whose caller has left is canceled.
func TestHungSeam(t *testing.T) {
	const late = "no response from 127.0.0.1 within 3s"
	for name, test := range map[string]struct {
		end     func(ctx context.Context) (context.Context, context.CancelFunc)
		outcome outcome
		cause   string
	}{
		"deadline of the caller": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 3*time.Second)
		}, callTimedOut, late},
		"the caller leaves": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(3*time.Second, cancel)
			return ctx, cancel
		}, canceled, late + ": context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, silent, func(t *testing.T, b *bubble) {
				ctx, cancel := test.end(t.Context())
				defer cancel()
				_, _, err := call(ctx, b.Client, Get())
				if err == nil || err.Cause.Error() != test.cause {
					t.Errorf("error %v, cause %v", err, err.Cause)
				}
				if n := value(t, b.metrics.attempts[1][test.outcome]); n != 1 {
					t.Errorf("%d attempts are counted as %s", n, test.outcome)
				}
			})
		})
	}
}
