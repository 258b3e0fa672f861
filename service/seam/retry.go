package seam

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// maxAttempts is how often a request is put at most.
	maxAttempts = 3
	// firstBackoff bounds the wait before the second attempt; the bound doubles for each further one.
	firstBackoff = 100 * time.Millisecond
	// maxRetryAfterWait is the longest that a call is held here for Seam's Retry-After. A longer wait is the caller's to
	// make: calls that wait are calls in flight.
	maxRetryAfterWait = 2 * time.Second
)

// failure is the error that the call ends with. Once one attempt may have been carried out, what became of a later one
// does not settle it: a session that is not found may be the one that the first attempt deleted.
func (c Call) failure(last attempt, ambiguous bool) *seamerr.Error {
	if !ambiguous || c.Semantics == Safe {
		return last.err
	}
	return last.err.WithUnknownOutcome(c.Semantics == Idempotent)
}

// limit returns how long an attempt may take, 0 for as long as the call: one that can be followed by another gets half
// of the time that is left, so that one response that never comes does not cost the whole call, but always time enough
// for a response.
func (c Call) limit(ctx context.Context, attempts int) time.Duration {
	deadline, set := ctx.Deadline()
	if !set || c.Semantics == NonIdempotent || c.CallerRetries || attempts == maxAttempts {
		return 0
	}
	if half := time.Until(deadline) / 2; half >= slowAfter {
		return half
	}
	return 0
}

// waitFor returns how long to wait before the next attempt: after what Seam asked for, by chance between nothing and a
// bound that doubles, so that the retries of many calls do not come at once. It says no where Seam asks for longer than
// a call is held here.
func waitFor(attempts int, retryAfter *time.Duration) (wait time.Duration, ok bool) {
	if retryAfter != nil {
		wait = *retryAfter
	}
	if wait > maxRetryAfterWait {
		return 0, false
	}
	return wait + rand.N(firstBackoff<<(attempts-1)), true //nolint:gosec // Nobody gains by guessing it.
}

// expectedDuration estimates the next attempt by this one; 0 after a timeout, which tells nothing.
func (a attempt) expectedDuration() time.Duration {
	if a.outcome == timedOut {
		return 0
	}
	return a.took
}

// fitsDeadline says whether the call has more time left than that. A retry that cannot end in time would only make a
// timeout of an error that says more.
func fitsDeadline(ctx context.Context, needed time.Duration) bool {
	deadline, set := ctx.Deadline()
	return !set || needed < time.Until(deadline)
}

// sleep waits and says whether the call still lives.
func sleep(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
