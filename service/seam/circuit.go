package seam

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// breakerWindow is how far back a circuit looks, in steps of breakerStep.
	breakerWindow, breakerStep = 10 * time.Second, time.Second
	// breakerOpen is how long Seam is left alone.
	breakerOpen = 5 * time.Second
	// breakerProbes is how many attempts then go through, all of which have to succeed.
	breakerProbes = 3
	// probeWait is when to come again while the probes are under way.
	probeWait = time.Second
)

// What an attempt tells a circuit, beside nil for one that Seam answered.
var (
	errFailure = errors.New("failure")
	errIgnored = errors.New("ignored")
)

// circuit is one circuit breaker.
type circuit struct {
	gate *gobreaker.TwoStepCircuitBreaker[struct{}]
	// until is when it stops being open; probing is true while it is half open.
	until   atomic.Pointer[time.Time]
	probing atomic.Bool
}

// newCircuit returns a closed circuit. trips says whether it opens, by the attempts in the window that have ended and
// how many of them failed. changed is told of each change of state.
func newCircuit(trips func(ended, failed uint32) bool, changed func(from, to gobreaker.State)) *circuit {
	c := &circuit{}
	c.until.Store(&time.Time{})
	c.gate = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  breakerProbes,
		Interval:     breakerWindow,
		BucketPeriod: breakerStep,
		Timeout:      breakerOpen,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return trips(counts.TotalSuccesses+counts.TotalFailures, counts.TotalFailures)
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			c.probing.Store(to == gobreaker.StateHalfOpen)
			if to == gobreaker.StateOpen {
				until := time.Now().Add(breakerOpen)
				c.until.Store(&until)
			}
			changed(from, to)
		},
	})
	return c
}

// circuitPermit is the permission to make one attempt. It has to be given back with what came of it.
type circuitPermit struct {
	circuit *circuit
	report  func(error)
	began   time.Time
	probe   bool
}

// allow says whether an attempt may be made.
func (c *circuit) allow() (circuitPermit, *seamerr.Error) {
	tell, err := c.gate.Allow()
	if err == nil {
		return circuitPermit{circuit: c, report: tell, began: time.Now(), probe: c.probing.Load()}, nil
	}
	wait := probeWait
	if errors.Is(err, gobreaker.ErrOpenState) {
		wait = max(time.Until(*c.until.Load()), 0)
	}
	return circuitPermit{}, seamerr.CircuitOpen(wait)
}

// done tells what came of the attempt.
//
// The gate counts each attempt in the step of the window in which it began, and forgets it with that step. One that
// took so long that it may be forgotten already is counted where it ended: such attempts are all there is when Seam
// takes calls and never answers.
func (l circuitPermit) done(result error) {
	if late := time.Since(l.began) >= breakerWindow-breakerStep; late && !l.probe {
		l.report(errIgnored)
		l.circuit.now(result)
		return
	}
	l.report(result)
}

// now counts an attempt as one that began now.
func (c *circuit) now(result error) {
	if c.gate.State() != gobreaker.StateClosed {
		return // It would count as a probe.
	}
	if tell, err := c.gate.Allow(); err == nil {
		tell(result)
	}
}

// logState writes a line about a change of state.
func logState(logger *slog.Logger, host, scope string) func(from, to gobreaker.State) {
	return func(from, to gobreaker.State) {
		log := logger.Info
		if to == gobreaker.StateOpen {
			log = logger.Warn
		}
		log("circuit breaker", slog.String("host", host),
			slog.String("scope", scope), slog.String("from", from.String()), slog.String("to", to.String()))
	}
}
