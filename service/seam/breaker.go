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
	// ownAttempts is the least number of a caller's attempts from which a rate is a rate.
	ownAttempts = 20
	// sharedAttempts is the same for all callers together. Each counts once a second, so these are of three callers at
	// the least, and more than one of them has to fail.
	sharedAttempts = 30
	// maxOwnCircuits and maxCounted bound the memory that callers can take up, to some 2 MB.
	maxOwnCircuits, maxCounted = 1024, 10_000
)

// Caller is who makes a call, as far as the circuit breaker has to know.
type Caller struct {
	// Key tells callers apart.
	Key uint64
	// Proven is true when the caller is known, or Seam has accepted its credential before. All others count as one:
	// anybody can make up credentials.
	Proven bool
}

// breaker stops asking Seam while most attempts fail: callers get their answer at once instead of at their deadline,
// the calls that wait do not pile up, and Seam gets room to come back.
//
// A request can be such that Seam fails at it, so what one caller's requests come to must not cut off the others. Each
// caller has a circuit of its own, which is all that its failures alone can open. The shared circuit opens when the
// attempts of several callers fail, each of which counts once a second however many it makes.
type breaker struct {
	shared *circuit
	host   string
	logger *slog.Logger
	start  time.Time

	mu sync.Mutex
	// own has the circuits of the callers of which an attempt has failed.
	own *simplelru.LRU[uint64, *circuit]
	// counted is the second in which a caller was last counted by the shared circuit.
	counted *simplelru.LRU[uint64, int64]
	// barred says until when a caller must not probe the shared circuit; failed is the caller whose probe has failed
	// since the circuit changed its state last, if failedSet.
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

// permit is the permission of both circuits to make one attempt. It has to be given back with what came of it.
type permit struct {
	breaker *breaker
	caller  Caller
	// own is the zero permit when the caller has no circuit of its own yet.
	own, shared circuitPermit
}

// allow says whether Seam may be asked.
func (b *breaker) allow(caller Caller) (permit, *seamerr.Error) {
	p := permit{breaker: b, caller: caller}
	b.mu.Lock()
	own, ok := b.own.Get(caller.Key)
	b.mu.Unlock()
	if ok {
		var refusal *seamerr.Error
		if p.own, refusal = own.allow(); refusal != nil {
			// For the shared circuit it counts as the failure that it would be: else callers that are cut off by their own
			// circuits would leave it with too little to go by.
			if caller.Proven && b.counts(caller.Key) {
				b.shared.now(errFailure)
			}
			return permit{}, refusal
		}
	}
	var refusal *seamerr.Error
	if p.shared, refusal = b.allowShared(caller.witness()); refusal != nil {
		if ok {
			p.own.done(errIgnored)
		}
		return permit{}, refusal
	}
	return p, nil
}

// allowShared asks the shared circuit. While it is half open, a caller whose probe has not succeeded has to leave the
// probes to others for a while, and a probe that takes longer than any response does gives its place back: so none can
// take up all probes with attempts that fail or never end.
func (b *breaker) allowShared(witness uint64) (circuitPermit, *seamerr.Error) {
	l, refusal := b.shared.allow()
	if refusal != nil || !l.probe {
		return l, refusal
	}
	b.mu.Lock()
	now := time.Now()
	barred := now.Before(b.barred[witness])
	if !barred {
		b.barred[witness] = now.Add(2 * slowAfter)
	}
	b.mu.Unlock()
	if barred {
		l.report(errIgnored)
		return circuitPermit{}, seamerr.CircuitOpen(probeWait)
	}
	tell, once := l.report, sync.Once{}
	late := time.AfterFunc(slowAfter, func() { once.Do(func() { tell(errIgnored) }) })
	l.report = func(result error) {
		late.Stop()
		once.Do(func() { tell(result) })
	}
	return l, nil
}

// witness is whom an attempt counts for: the caller, or nobody in particular.
func (c Caller) witness() uint64 {
	if c.Proven {
		return c.Key
	}
	return 0
}

// done tells both circuits what came of the attempt.
func (p permit) done(result error) {
	b := p.breaker
	switch {
	case p.own.circuit != nil:
		p.own.done(result)
	case result == errFailure: //nolint:errorlint // It is never wrapped.
		b.circuitOf(p.caller.Key).now(result)
	}
	if p.shared.probe {
		result = b.probed(p.caller, result)
	} else if !b.counts(p.caller.witness()) {
		result = errIgnored
	}
	p.shared.done(result)
}

// circuitOf returns the caller's own circuit and makes it if there is none yet.
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

// counts says whether the shared circuit counts an attempt that has ended: the first of its caller in a second.
func (b *breaker) counts(witness uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	second := int64(time.Since(b.start)/breakerStep) + 1
	if last, ok := b.counted.Get(witness); ok && last == second {
		return false
	}
	b.counted.Add(witness, second)
	return true
}

// probed ends a probe of the shared circuit and returns what counts of it. A failure opens the circuit again only if it
// is the second one, of another caller than the first: one caller must not hold it open.
func (b *breaker) probed(caller Caller, result error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case result == nil:
		delete(b.barred, caller.witness())
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
