package seam

import (
	"log/slog"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxOwnBreakers bounds the memory for the breakers of the callers to some 1 MB.
const maxOwnBreakers = 1024

// breakers send no requests to Seam while most attempts fail. Callers get an error at once instead of at their
// deadline, waiting calls do not pile up, and Seam can recover.
//
// Seam can fail because of the request itself, so the failures of one caller must not cut off the others. They open the
// caller's own breaker. The shared breaker opens when several callers fail.
type breakers struct {
	shared *breaker
	// own has the breakers of the callers with a failed attempt.
	own       *lru.Cache[uint64, *breaker]
	ownLogger *slog.Logger
}

func newBreakers(host string, logger *slog.Logger) *breakers {
	own, err := lru.New[uint64, *breaker](maxOwnBreakers)
	if err != nil {
		panic(err) // Only for a size below 1.
	}
	logger = logger.With(slog.String("host", host))
	shared := newBreaker(true, logger.With(slog.String("scope", "all callers")))
	return &breakers{shared: shared, own: own, ownLogger: logger.With(slog.String("scope", "one caller"))}
}

// allow permits an attempt that begins now, or refuses it. A probe of the shared breaker needs no permission of the
// caller's own: what that refuses must not take a place.
func (b *breakers) allow(caller Caller, now time.Time) *seamerr.Error {
	isProbe, refusal := b.shared.allow(caller.sharedKey(), now)
	own, ok := b.own.Get(caller.Key)
	if refusal != nil || isProbe || !ok {
		return refusal
	}
	if _, refusal = own.allow(caller.Key, now); refusal != nil {
		// With many callers cut off by their own breakers, the shared one would have too few attempts to open.
		b.shared.record(caller.sharedKey(), now, breakerFailure)
	}
	return refusal
}

// record records the result of an attempt, with the cause of a failure.
func (b *breakers) record(caller Caller, began time.Time, result breakerResult, cause error) {
	if result == breakerFailure {
		b.shared.note(cause)
		if !b.own.Contains(caller.Key) {
			b.own.ContainsOrAdd(caller.Key, newBreaker(false, b.ownLogger.With(slog.String("caller", caller.Name))))
		}
	}
	b.shared.record(caller.sharedKey(), began, result)
	if own, ok := b.own.Get(caller.Key); ok {
		if result == breakerFailure {
			own.note(cause)
		}
		own.record(caller.Key, began, result)
	}
}

// callersCutOff is how many callers have an open or half-open breaker of their own.
func (b *breakers) callersCutOff() float64 {
	n := 0.0
	for _, own := range b.own.Values() {
		if own.state() != 0 {
			n++
		}
	}
	return n
}
