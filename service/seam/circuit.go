package seam

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// breakerWindow is the rolling window of a circuit, in steps of breakerStep.
	breakerWindow, breakerStep = 10 * time.Second, time.Second
	// breakerOpen is how long a circuit stays open.
	breakerOpen = 5 * time.Second
	// breakerProbes is how many attempts a half-open circuit allows. All have to succeed for it to close.
	breakerProbes = 3
	// probeWait is the Retry-After of a call that is refused during the probes.
	probeWait = time.Second
)

// The results of an attempt for a circuit, besides nil for a success.
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

// newCircuit returns a closed circuit. trips reports whether it opens, by the attempts in the window that have ended
// and how many of them failed. changed is called for each change of state.
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

// circuitPermit is the permission for one attempt. done has to be called with the attempt's result.
type circuitPermit struct {
	circuit *circuit
	report  func(error)
	began   time.Time
	probe   bool
}

// allow reports whether an attempt may be made.
func (c *circuit) allow() (circuitPermit, *seamerr.Error) {
	report, err := c.gate.Allow()
	if err == nil {
		p := circuitPermit{circuit: c, report: report, began: time.Now(), probe: c.probing.Load()}
		if p.probe {
			p.ignoreLate()
		}
		return p, nil
	}
	wait := probeWait
	if errors.Is(err, gobreaker.ErrOpenState) {
		wait = max(time.Until(*c.until.Load()), 0)
	}
	return circuitPermit{}, seamerr.CircuitOpen(wait)
}

// ignoreLate gives the place of a probe to another one when it takes longer than slowAfter. Requests that Seam took
// while it hung never get a response, and would keep the circuit half open when Seam has long recovered.
func (l *circuitPermit) ignoreLate() {
	report, once := l.report, sync.Once{}
	late := time.AfterFunc(slowAfter, func() { once.Do(func() { report(errIgnored) }) })
	l.report = func(result error) {
		late.Stop()
		once.Do(func() { report(result) })
	}
}

// done reports the result of the attempt.
//
// The gate counts each attempt in the step of the window in which it began, and drops it with that step. An attempt
// that took nearly the whole window is counted where it ended: when Seam accepts requests and never responds, there are
// no others.
func (l *circuitPermit) done(result error) {
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
	if report, err := c.gate.Allow(); err == nil {
		report(result)
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
