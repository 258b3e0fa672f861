package seam

import (
	"context"
	"time"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxAttempts is how often a request is sent at most.
const maxAttempts = 3

// retrySafety is when a retry is safe.
type retrySafety int

const (
	retryNever retrySafety = iota
	retryIfIdempotent
	retryAlways
)

// retryable reports whether a retry is safe and can help.
func (a *attempt) retryable(semantics Semantics) bool {
	retry := a.outcome.facts().retry
	return retry == retryAlways || (retry == retryIfIdempotent && semantics != NonIdempotent)
}

// next reports whether a failed request is retried, and after what wait.
func (c *Client) next(ctx context.Context, s *callState) (wait time.Duration, retry bool) {
	last, attempts := &s.last, s.response.Attempts
	if s.call.CallerRetries || !last.retryable(s.call.Semantics) {
		return 0, false
	}
	if attempts == maxAttempts {
		last.err.NoRetry = true
		return 0, false
	}
	wait, ok := waitFor(attempts, last.err.RetryAfter)
	if !ok || !fitsDeadline(ctx, wait+last.expectedDuration()) {
		return 0, false
	}
	if !last.isRetriedFreely(attempts) && !c.budget.retry(s.call.Caller) {
		c.metrics.denied.Inc()
		last.err.NoRetry = true
		return 0, false
	}
	return wait, true
}

// failure returns the error of the call. Once one attempt may have been applied, the outcome of a later one does not
// settle it: a session that is not found may be the one that the first attempt deleted.
func (s *callState) failure() *seamerr.Error {
	if !s.ambiguous || s.call.Semantics == Safe {
		return s.last.err
	}
	return s.last.err.WithUnknownOutcome(s.call.Semantics == Idempotent)
}

// isRetriedFreely reports whether the retry of a failed attempt does not count for the retry budget: the first one of a
// request that Seam has certainly not processed, and the first one after a lost connection, of which only one exchange
// tells. Neither multiplies the requests in an outage.
func (a *attempt) isRetriedFreely(attempts int) bool {
	return attempts == 1 && (a.outcome == notProcessed || a.lossIsKnown)
}
