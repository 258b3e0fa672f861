package seam

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// breakerSeconds is the length of the rolling window.
	breakerSeconds = 10
	// breakerFailures is how many attempts in the window have to fail at least: more than two callers can have at one a
	// second. So a caller with an accepted credential and made-up ones cannot open the shared breaker.
	breakerFailures = 2*breakerSeconds + 1
	// breakerProbes is how many places an open breaker has for probes, and how many probes have to succeed.
	breakerProbes = 3
	// probeTime is how long a probe keeps its place, unless it succeeds.
	probeTime = 5 * time.Second
)

// breaker is a circuit breaker. It opens when most attempts in the window fail. While it is open, it refuses attempts,
// but for probes. It closes when three probes have succeeded.
//
// A probe takes one of three places for five seconds. Only a success gives the place back earlier. So few requests
// reach Seam while it fails, and a probe that fails, hangs or is canceled needs no rule of its own.
type breaker struct {
	// shared is true for the breaker of all callers: a caller counts once a second, and has one place at most.
	shared bool
	logger *slog.Logger
	start  time.Time

	mu      sync.Mutex
	seconds [breakerSeconds]breakerSecond
	// counted has the callers that have counted in this second.
	counted map[uint64]bool
	open    bool
	// changed is when it has last opened or closed. Attempts that began before say nothing any more.
	changed time.Time
	// cause is why the last failed attempt failed.
	cause error
	// probes has the last probe in each place. Succeeded is how many have succeeded since the breaker opened.
	probes    [breakerProbes]probe
	succeeded int
}

// breakerSecond counts the attempts that ended in one second, by its number since the start.
type breakerSecond struct {
	number        int64
	ended, failed int
}

// probe is an attempt while the breaker is open.
type probe struct {
	caller uint64
	began  time.Time
}

// isTaken reports whether the place of the probe is still taken.
func (p probe) isTaken(now time.Time) bool { return now.Sub(p.began) < probeTime }

func newBreaker(shared bool, logger *slog.Logger) *breaker {
	return &breaker{shared: shared, logger: logger, start: time.Now(), counted: map[uint64]bool{}}
}

// allow permits an attempt that begins now, or refuses it.
func (b *breaker) allow(caller uint64, now time.Time) (isProbe bool, refusal *seamerr.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return false, nil
	}
	place := b.placeFor(caller, now)
	if place.isTaken(now) {
		return false, seamerr.CircuitOpen(place.began.Add(probeTime).Sub(now), b.cause)
	}
	*place = probe{caller: caller, began: now}
	return true, nil
}

// placeFor is the place that the caller can have first. It may still be taken.
func (b *breaker) placeFor(caller uint64, now time.Time) *probe {
	first := &b.probes[0]
	for i := range b.probes {
		place := &b.probes[i]
		if b.shared && place.caller == caller && place.isTaken(now) {
			return place
		}
		if place.began.Before(first.began) {
			first = place
		}
	}
	return first
}

// record records the result of an attempt.
func (b *breaker) record(caller uint64, began time.Time, result breakerResult) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case result == breakerIgnores || began.Before(b.changed):
	case !b.open:
		b.count(caller, result, now)
	case result == breakerSuccess:
		b.countProbe(probe{caller: caller, began: began}, now)
	}
}

// note notes why an attempt failed.
func (b *breaker) note(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cause = cause
}

// count counts an attempt in the second in which it ends: while Seam hangs, attempts end long after they began.
func (b *breaker) count(caller uint64, result breakerResult, now time.Time) {
	number := int64(now.Sub(b.start) / time.Second)
	second := &b.seconds[number%breakerSeconds]
	if second.number != number {
		*second = breakerSecond{number: number}
		clear(b.counted)
	}
	if b.shared && b.counted[caller] {
		return
	}
	b.counted[caller] = true
	second.ended++
	if result == breakerFailure {
		second.failed++
	}
	if b.mostFail(number) {
		b.change(true, now)
	}
}

// mostFail reports whether most attempts fail, in the window that ends with a second.
func (b *breaker) mostFail(number int64) bool {
	ended, failed := 0, 0
	for _, s := range b.seconds {
		if s.number > number-breakerSeconds {
			ended, failed = ended+s.ended, failed+s.failed
		}
	}
	return failed >= breakerFailures && 2*failed > ended
}

// countProbe counts a probe that has succeeded, unless another one has taken its place.
func (b *breaker) countProbe(p probe, now time.Time) {
	place := slices.Index(b.probes[:], p)
	if place < 0 {
		return
	}
	b.probes[place] = probe{}
	if b.succeeded++; b.succeeded == breakerProbes {
		b.change(false, now)
	}
}

// change opens or closes the breaker. When it opens, all places are taken for the time of a probe.
func (b *breaker) change(open bool, now time.Time) {
	b.open, b.changed, b.succeeded = open, now, 0
	clear(b.seconds[:])
	clear(b.counted)
	for i := range b.probes {
		b.probes[i] = probe{began: now}
	}
	if open {
		b.logger.Warn("circuit breaker",
			slog.String("from", "closed"), slog.String("to", "open"), slog.Any("cause", b.cause))
	} else {
		b.logger.Info("circuit breaker", slog.String("from", "open"), slog.String("to", "closed"))
	}
}

// state is 0 while the breaker is closed, 2 while it is open, and 1 while it is half open: a call may probe Seam.
func (b *breaker) state() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	switch {
	case !b.open:
		return 0
	case slices.ContainsFunc(b.probes[:], func(p probe) bool { return !p.isTaken(now) }):
		return 1
	default:
		return 2
	}
}
