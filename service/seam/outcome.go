package seam

import (
	"net/http"
	"time"
)

// outcome is the outcome of one request to Seam.
type outcome int

const (
	succeeded outcome = iota
	rejected
	rateLimited
	notSent
	notProcessed
	unavailable
	failed
	connectionLost
	timedOut
	truncated
	malformed
	tooLarge
	outOfMemory
	callTimedOut
	canceled
)

// applied is whether the request may have been applied.
type applied int

const (
	appliedNo applied = iota
	appliedMaybe
	appliedMaybeIfSent
)

// breakerResult is how an outcome counts for the circuit breakers.
type breakerResult int

const (
	breakerSuccess breakerResult = iota
	breakerFailure
	breakerIgnores
	breakerByStatus
	breakerByDuration
)

// outcomeFacts is all that depends on an outcome.
type outcomeFacts struct {
	// label is the outcome as a label of a metric.
	label   string
	retry   retrySafety
	applied applied
	breaker breakerResult
}

// facts is the table of the outcomes.
func (o outcome) facts() outcomeFacts {
	return [...]outcomeFacts{
		succeeded: {"success", retryNever, appliedNo, breakerSuccess},
		// Seam responded with an error and would do so again.
		rejected: {"rejected", retryNever, appliedNo, breakerByStatus},
		// Seam responded with 429 and did nothing.
		rateLimited: {"rate_limited", retryAlways, appliedNo, breakerSuccess},
		// There was no connection, or it was lost before the request was sent.
		notSent: {"not_sent", retryAlways, appliedNo, breakerFailure},
		// Over HTTP/2, Seam reported that the request was not processed: REFUSED_STREAM, or GOAWAY with a lower stream id.
		notProcessed: {"not_processed", retryAlways, appliedNo, breakerIgnores},
		// 502 or 503: a proxy or a load balancer reports that Seam is unavailable.
		unavailable: {"unavailable", retryIfIdempotent, appliedMaybe, breakerFailure},
		// Any other 5xx but 501.
		failed: {"failed", retryIfIdempotent, appliedMaybe, breakerByStatus},
		// The connection was lost after the request was sent.
		connectionLost: {"connection_lost", retryIfIdempotent, appliedMaybe, breakerFailure},
		// No response came within the time for one attempt.
		timedOut: {"timeout", retryIfIdempotent, appliedMaybe, breakerFailure},
		// A 2xx whose body is incomplete.
		truncated: {"truncated", retryIfIdempotent, appliedMaybe, breakerFailure},
		// A 2xx that cannot be decoded, or that does not count as a success.
		malformed: {"malformed", retryIfIdempotent, appliedMaybe, breakerSuccess},
		// A 2xx above the size limit, as it would be again.
		tooLarge: {"too_large", retryNever, appliedMaybe, breakerSuccess},
		// A 2xx for which there is no memory here.
		outOfMemory: {"out_of_memory", retryNever, appliedMaybe, breakerIgnores},
		// No response came before the deadline of the call.
		callTimedOut: {"timeout", retryNever, appliedMaybeIfSent, breakerByDuration},
		// The caller canceled the call.
		canceled: {"canceled", retryNever, appliedMaybeIfSent, breakerByDuration},
	}[o]
}

// String is the outcome as a label of a metric.
func (o outcome) String() string { return o.facts().label }

// outcomeOf returns the outcome of a request to which Seam responded with an error.
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

// ambiguous reports whether the request may have been applied.
func (a *attempt) ambiguous() bool {
	applied := a.outcome.facts().applied
	return applied == appliedMaybe || (applied == appliedMaybeIfSent && a.sent)
}

// breakerResult is the result for the circuit breaker. Any deliberate response, a 4xx included, counts as healthy. A
// 5xx with Seam's error envelope is about this request, which may have been made to provoke it, and is ignored, but for
// 502, 503 and 504. A caller's deadline is a failure only if the attempt took slowAfter. A lost connection is one
// failure, however many attempts end by it.
func (a *attempt) breakerResult() breakerResult {
	result := a.outcome.facts().breaker
	switch {
	case result == breakerByDuration && a.err.HTTPStatus == http.StatusGatewayTimeout && a.took >= slowAfter:
		return breakerFailure
	case result == breakerByDuration, a.lossIsKnown:
		return breakerIgnores
	case result == breakerByStatus && a.httpStatus < http.StatusInternalServerError:
		return breakerSuccess
	case result == breakerByStatus && a.httpStatus != http.StatusGatewayTimeout && a.err.Type != "":
		return breakerIgnores
	case result == breakerByStatus:
		return breakerFailure
	default:
		return result
	}
}

// slowAfter is when a response is late: Seam commonly responds within one second.
const slowAfter = 5 * time.Second
