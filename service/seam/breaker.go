package seam

import (
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/sony/gobreaker/v2"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// ownAttempts is the minimum number of a caller's attempts for a failure rate.
	ownAttempts = 20
	// sharedAttempts is the same for all callers together. Each counts once a second, so these are of at least three
	// callers, and more than one of them has to fail.
	sharedAttempts = 30
	// maxOwnCircuits and maxCounted bound the memory for callers to some 2 MB.
	maxOwnCircuits, maxCounted = 1024, 10_000
)

// Caller identifies the caller of a call for the circuit breaker.
type Caller struct {
	// Key is a hash that identifies the caller.
	Key uint64
	// Proven is true when the caller is authenticated, or Seam has accepted its credential before. All others count as
	// one: credentials can be made up.
	Proven bool
}

// breaker is the circuit breaker: it sends no requests to Seam while most attempts fail. Callers get an error at once
// instead of at their deadline, waiting calls do not pile up, and Seam can recover.
//
// Seam can fail because of the request itself, so the failures of one caller must not cut off the others. Each caller
// has its own circuit, and its failures alone can open no other. The shared circuit opens when the attempts of several
// callers fail. Each caller counts once a second, however many attempts it makes.
type breaker struct {
	shared *circuit
	host   string
	logger *slog.Logger
	start  time.Time

	mu sync.Mutex
	// own has the circuits of the callers with a failed attempt.
	own *simplelru.LRU[uint64, *circuit]
	// counted is the second in which the shared circuit has last counted a caller.
	counted *simplelru.LRU[uint64, int64]
	// barred is until when a caller must not probe the shared circuit. failed is the caller whose probe has failed since
	// the last change of the circuit's state, if failedSet.
	barred    map[uint64]time.Time
	failed    uint64
	failedSet bool
}

func newBreaker(host string, logger *slog.Logger) *breaker {
	b := &breaker{host: host, logger: logger, start: time.Now(), barred: map[uint64]time.Time{}}
	own, err := simplelru.NewLRU[uint64, *circuit](maxOwnCircuits, nil)
	if err != nil {
		panic(err) // Only for a size below 1.
	}
	counted, err := simplelru.NewLRU[uint64, int64](maxCounted, nil)
	if err != nil {
		panic(err)
	}
	b.own, b.counted = own, counted
	b.shared = newCircuit(
		func(ended, failed uint32) bool { return ended >= sharedAttempts && 2*failed > ended },
		func(from, to gobreaker.State) {
			b.mu.Lock()
			b.failedSet = false
			clear(b.barred)
			b.mu.Unlock()
			logState(logger, host, "all callers")(from, to)
		},
	)
	return b
}

// permit is the permission of both circuits for one attempt. done has to be called with the attempt's result.
type permit struct {
	breaker *breaker
	caller  Caller
	// own is the zero permit when the caller has no circuit of its own yet.
	own, shared circuitPermit
}

// allow reports whether a request may be sent to Seam.
func (b *breaker) allow(caller Caller, p *permit) *seamerr.Error {
	*p = permit{breaker: b, caller: caller}
	b.mu.Lock()
	own, ok := b.own.Get(caller.Key)
	b.mu.Unlock()
	var refusal *seamerr.Error
	if ok {
		if p.own, refusal = own.allow(); refusal != nil {
			// It counts as a failure for the shared circuit: else, with many callers cut off by their own circuits, the
			// shared one would have too few attempts to open.
			if caller.Proven && b.counts(caller.Key) {
				b.shared.now(errFailure)
			}
			return refusal
		}
	}
	if p.shared, refusal = b.allowShared(caller.sharedKey()); refusal != nil && ok {
		p.own.done(errIgnored)
	}
	return refusal
}

// allowShared asks the shared circuit for a permit. While the circuit is half open, a caller whose probe has not
// succeeded cannot probe again for a while: so no caller can use up the probes with attempts that fail or never end.
func (b *breaker) allowShared(key uint64) (circuitPermit, *seamerr.Error) {
	l, refusal := b.shared.allow()
	if refusal != nil || !l.probe {
		return l, refusal
	}
	b.mu.Lock()
	now := time.Now()
	barred := now.Before(b.barred[key])
	if !barred {
		b.barred[key] = now.Add(2 * slowAfter)
	}
	b.mu.Unlock()
	if barred {
		l.report(errIgnored)
		return circuitPermit{}, seamerr.CircuitOpen(probeWait)
	}
	return l, nil
}

// sharedKey is the key of the caller where callers share something: its own, or one for all that are not proven.
func (c Caller) sharedKey() uint64 {
	if c.Proven {
		return c.Key
	}
	return 0
}

// done reports the result of the attempt to both circuits.
func (p *permit) done(result error) {
	b := p.breaker
	switch {
	case p.own.circuit != nil:
		p.own.done(result)
	case result == errFailure: //nolint:errorlint // It is never wrapped.
		b.circuitOf(p.caller.Key).now(result)
	}
	if p.shared.probe {
		result = b.probed(p.caller, result)
	} else if !b.counts(p.caller.sharedKey()) {
		result = errIgnored
	}
	p.shared.done(result)
}

// circuitOf returns the caller's own circuit. It creates it if there is none yet.
func (b *breaker) circuitOf(key uint64) *circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	own, ok := b.own.Get(key)
	if !ok {
		own = newCircuit(
			func(ended, failed uint32) bool { return ended >= ownAttempts && 2*failed >= ended },
			logState(b.logger, b.host, "one caller"),
		)
		b.own.Add(key, own)
	}
	return own
}

// counts reports whether the shared circuit counts an attempt that has ended: the first of its caller in a second.
func (b *breaker) counts(key uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	second := int64(time.Since(b.start)/breakerStep) + 1
	if last, ok := b.counted.Get(key); ok && last == second {
		return false
	}
	b.counted.Add(key, second)
	return true
}

// probed ends a probe of the shared circuit and returns the result that counts. A failure opens the circuit again only
// after a failure of another caller: one caller must not hold it open.
func (b *breaker) probed(caller Caller, result error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case result == nil:
		delete(b.barred, caller.sharedKey())
		return nil
	case result != errFailure: //nolint:errorlint // It is never wrapped.
		return result
	case !caller.Proven:
		return errIgnored
	case !b.failedSet || b.failed == caller.Key:
		b.failed, b.failedSet = caller.Key, true
		return errIgnored
	default:
		return errFailure
	}
}

// state is that of the shared circuit: 0 while closed, 1 while half open and 2 while open.
func (b *breaker) state() float64 { return float64(b.shared.gate.State()) }

// callersCutOff is how many callers have an open or half-open circuit of their own.
func (b *breaker) callersCutOff() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0.0
	for _, own := range b.own.Values() {
		if own.gate.State() != gobreaker.StateClosed {
			n++
		}
	}
	return n
}
