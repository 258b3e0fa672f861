package seam

import (
	"net/http"
	"time"
)

// fate is what became of a request, as far as it matters for what to do next.
type fate int

const (
	// fine: Seam answered well.
	fine fate = iota
	// refused: Seam answered and would answer the same again.
	refused
	// rateLimited: Seam did nothing, since it was asked too often.
	rateLimited
	// unsent: Seam did not get the request; the connection could not be made.
	unsent
	// turnedAway: Seam's end of the connection said that it did nothing about the request.
	turnedAway
	// unavailable: somebody on the way said that Seam is not there.
	unavailable
	// failed: Seam failed in some way.
	failed
	// broken: the connection broke after the request was sent.
	broken
	// timedOut: no answer came within the time for one attempt.
	timedOut
	// cutOff: an answer that the request was carried out broke off.
	cutOff
	// unreadable: an answer that the request was carried out cannot be understood.
	unreadable
	// tooLong: an answer that the request was carried out is longer than any may be, and would be again.
	tooLong
	// abandoned: the caller left, or its time is over.
	abandoned
)

// String is the fate as a label of a metric.
func (f fate) String() string {
	return [...]string{
		"ok", "refused", "rate_limited", "unsent", "turned_away", "unavailable", "failed", "broken", "timeout", "cut_off",
		"unreadable", "too_long", "abandoned",
	}[f]
}

// fateOf returns the fate of a request that was answered with an error.
func fateOf(httpStatus int) fate {
	switch {
	case httpStatus == http.StatusTooManyRequests:
		return rateLimited
	case httpStatus < 500 || httpStatus == http.StatusNotImplemented:
		return refused
	case httpStatus == http.StatusBadGateway || httpStatus == http.StatusServiceUnavailable:
		return unavailable
	default:
		return failed
	}
}

// ambiguous says whether a request of this fate may have been carried out or not.
func (a attempt) ambiguous() bool {
	switch a.fate {
	case unavailable, failed, broken, timedOut, cutOff, unreadable, tooLong:
		return true
	case abandoned:
		return a.sent
	case fine, refused, rateLimited, unsent, turnedAway:
		return false
	}
	return false
}

// repeatable says whether it helps to put the request again, and does no harm.
func (a attempt) repeatable(effect Effect) bool {
	switch a.fate {
	case rateLimited, unsent, turnedAway:
		return true
	case unavailable, failed, broken, timedOut, cutOff, unreadable:
		return effect != Adds
	case fine, refused, tooLong, abandoned:
		return false
	}
	return false
}

// verdict is what the attempt tells the circuit breaker. What Seam decided about a request speaks for it, whatever it
// decided. A 500 in Seam's own words is about this request, which may have been made to provoke it, and says nothing. A
// caller's time that ran out speaks against Seam only if it was long enough for any answer.
func (a attempt) verdict() error {
	switch a.fate {
	case unsent, unavailable, broken, timedOut, cutOff:
		return errFailure
	case abandoned:
		if a.err.HTTPStatus == http.StatusGatewayTimeout && a.took >= patience {
			return errFailure
		}
		return errIgnored
	case turnedAway:
		return errIgnored
	case fine, refused, rateLimited, unreadable, tooLong, failed:
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

// patience is how long any answer of Seam may take: it commonly takes less than one second.
const patience = 5 * time.Second
