package seam

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// firstBackoff bounds the backoff before the second attempt. The bound doubles for each further one.
	firstBackoff = 100 * time.Millisecond
	// maxRetryAfterWait is the longest wait here for Seam's Retry-After. A longer one is left to the caller, since calls
	// that wait are calls in flight.
	maxRetryAfterWait = 2 * time.Second
)

// attemptDeadline returns the deadline of an attempt, zero for none. One that can be retried gets half of the remaining
// time, so that one lost response does not use up the whole call, but never less than slowAfter.
func (c *Call) attemptDeadline(ctx context.Context, attempts int) time.Time {
	deadline, set := ctx.Deadline()
	if !set || c.Semantics == NonIdempotent || c.CallerRetries || attempts == maxAttempts {
		return deadline
	}
	if half := time.Until(deadline) / 2; half >= slowAfter {
		return deadline.Add(-half)
	}
	return deadline
}

// waitFor returns how long to wait before the next attempt: Seam's Retry-After plus an exponential backoff with full
// jitter, so that the retries of many calls are spread out. It is false for a Retry-After above maxRetryAfterWait.
func waitFor(attempts int, retryAfter *time.Duration) (wait time.Duration, ok bool) {
	if retryAfter != nil {
		wait = *retryAfter
	}
	if wait > maxRetryAfterWait {
		return 0, false
	}
	return wait + rand.N(firstBackoff<<(attempts-1)), true //nolint:gosec // It is no secret.
}

// expectedDuration estimates the duration of the next attempt by this one. It is 0 after a timeout.
func (a *attempt) expectedDuration() time.Duration {
	if a.outcome == timedOut {
		return 0
	}
	return a.took
}

// fitsDeadline reports whether the deadline leaves the needed time. A retry that cannot end in time would only replace
// a specific error by a timeout.
func fitsDeadline(ctx context.Context, needed time.Duration) bool {
	deadline, set := ctx.Deadline()
	return !set || needed < time.Until(deadline)
}

// sleep waits. It is false when the call ends first.
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
