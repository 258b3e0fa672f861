package seam

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/clientsession/service/service/seamerr"
)

const (
	// breakerWindow is how far back the breaker looks, in steps of breakerStep.
	breakerWindow, breakerStep = 10 * time.Second, time.Second
	// breakerAttempts is the least number of attempts from which a rate is a rate.
	breakerAttempts = 20
	// breakerOpen is how long Seam is left alone.
	breakerOpen = 5 * time.Second
	// breakerProbes is how many attempts then go through, all of which have to succeed.
	breakerProbes = 3
	// probeWait is when to come again while the probes are under way.
	probeWait = time.Second
)

// What an attempt tells the breaker, beside nil for one that Seam answered.
var (
	errSpeaksAgainst = errors.New("it speaks against Seam")
	errSaysNothing   = errors.New("it says nothing about Seam")
)

// breaker stops asking Seam while most attempts fail: callers get their answer at once instead of at their deadline,
// the calls that wait do not pile up, and Seam gets room to come back.
type breaker struct {
	gate *gobreaker.TwoStepCircuitBreaker[struct{}]
	// until is when it stops being open; probing is true while it is half open.
	until   atomic.Pointer[time.Time]
	probing atomic.Bool
}

func newBreaker(host string, logger *slog.Logger) *breaker {
	b := &breaker{}
	b.until.Store(&time.Time{})
	b.gate = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         host,
		MaxRequests:  breakerProbes,
		Interval:     breakerWindow,
		BucketPeriod: breakerStep,
		Timeout:      breakerOpen,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			ended := counts.TotalSuccesses + counts.TotalFailures
			return ended >= breakerAttempts && 2*counts.TotalFailures >= ended
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errSaysNothing) },
		OnStateChange: func(host string, from, to gobreaker.State) {
			b.probing.Store(to == gobreaker.StateHalfOpen)
			level := slog.LevelInfo
			if to == gobreaker.StateOpen {
				level = slog.LevelWarn
				until := time.Now().Add(breakerOpen)
				b.until.Store(&until)
			}
			logger.LogAttrs(context.Background(), level, "circuit breaker",
				slog.String("host", host), slog.String("from", from.String()), slog.String("to", to.String()))
		},
	})
	return b
}

// permit is leave to make one attempt. It has to be given back with what came of it.
type permit struct {
	breaker *breaker
	tell    func(error)
	began   time.Time
	probe   bool
}

// allow says whether Seam may be asked.
func (b *breaker) allow() (permit, *seamerr.Error) {
	tell, err := b.gate.Allow()
	if err == nil {
		return permit{breaker: b, tell: tell, began: time.Now(), probe: b.probing.Load()}, nil
	}
	wait := probeWait
	if errors.Is(err, gobreaker.ErrOpenState) {
		wait = max(time.Until(*b.until.Load()), 0)
	}
	return permit{}, seamerr.Failing(wait)
}

// done tells what came of the attempt.
//
// The gate counts each attempt in the step of the window in which it began, and forgets it with that step. One that
// took so long that it may be forgotten already is counted where it ended: such attempts are all there is when Seam
// takes calls and never answers.
func (p permit) done(verdict error) {
	if late := time.Since(p.began) >= breakerWindow-breakerStep; late && !p.probe {
		p.tell(errSaysNothing)
		p.breaker.now(verdict)
		return
	}
	p.tell(verdict)
}

// now counts an attempt as one that began now.
func (b *breaker) now(verdict error) {
	if b.gate.State() != gobreaker.StateClosed {
		return // It would count as a probe.
	}
	if tell, err := b.gate.Allow(); err == nil {
		tell(verdict)
	}
}

// state is 0 while closed, 1 while half open and 2 while open.
func (b *breaker) state() float64 { return float64(b.gate.State()) }
