package seam

import (
	"net/http"
	"time"
)

// outcome is what became of a request, as far as it matters for what to do next.
type outcome int

const (
	// succeeded: Seam answered well.
	succeeded outcome = iota
	// rejected: Seam answered and would answer the same again.
	rejected
	// rateLimited: Seam did nothing, since it was asked too often.
	rateLimited
	// notSent: Seam did not get the request; the connection could not be made.
	notSent
	// notProcessed: Seam's end of the connection said that it did nothing about the request.
	notProcessed
	// unavailable: somebody on the way said that Seam is not there.
	unavailable
	// failed: Seam failed in some way.
	failed
	// connectionLost: the connection broke after the request was sent.
	connectionLost
	// timedOut: no answer came within the time for one attempt.
	timedOut
	// truncated: an answer that the request was carried out broke off.
	truncated
	// malformed: an answer that the request was carried out cannot be understood.
	malformed
	// tooLarge: an answer that the request was carried out is longer than any may be, and would be again.
	tooLarge
	// canceled: the caller left, or its time is over.
	canceled
)

// String is the fate as a label of a metric.
func (f outcome) String() string {
	return [...]string{
		"ok", "refused", "rate_limited", "unsent", "turned_away", "unavailable", "failed", "broken", "timeout", "cut_off",
		"unreadable", "too_long", "abandoned",
	}[f]
}

// outcomeOf returns the fate of a request that was answered with an error.
func outcomeOf(httpStatus int) outcome {
	switch {
	case httpStatus == http.StatusTooManyRequests:
		return rateLimited
	case httpStatus < 500 || httpStatus == http.StatusNotImplemented:
		return rejected
	case httpStatus == http.StatusBadGateway || httpStatus == http.StatusServiceUnavailable:
		return unavailable
	default:
		return failed
	}
}

// ambiguous says whether a request of this fate may have been carried out or not.
func (a attempt) ambiguous() bool {
	switch a.outcome {
	case unavailable, failed, connectionLost, timedOut, truncated, malformed, tooLarge:
		return true
	case canceled:
		return a.sent
	case succeeded, rejected, rateLimited, notSent, notProcessed:
		return false
	}
	return false
}

// retryable says whether it helps to put the request again, and does no harm.
func (a attempt) retryable(effect Semantics) bool {
	switch a.outcome {
	case rateLimited, notSent, notProcessed:
		return true
	case unavailable, failed, connectionLost, timedOut, truncated, malformed:
		return effect != NonIdempotent
	case succeeded, rejected, tooLarge, canceled:
		return false
	}
	return false
}

// breakerResult is what the attempt tells the circuit breaker. What Seam decided about a request speaks for it, whatever it
// decided. A 500 in Seam's own words is about this request, which may have been made to provoke it, and says nothing. A
// caller's time that ran out speaks against Seam only if it was long enough for any answer.
func (a attempt) breakerResult() error {
	switch a.outcome {
	case notSent, unavailable, connectionLost, timedOut, truncated:
		return errFailure
	case canceled:
		if a.err.HTTPStatus == http.StatusGatewayTimeout && a.took >= slowAfter {
			return errFailure
		}
		return errIgnored
	case notProcessed:
		return errIgnored
	case succeeded, rejected, rateLimited, malformed, tooLarge, failed:
	}
	switch {
	case a.httpStatus < http.StatusInternalServerError:
		return nil
	case a.httpStatus != http.StatusGatewayTimeout && a.err.Type != "":
		return errIgnored
	default:
		return errFailure
	}
}

// slowAfter is how long any answer of Seam may take: it commonly takes less than one second.
const slowAfter = 5 * time.Second
