//go:build soak || fleet

package soak_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// openLoop issues calls at a fixed rate until it is told to stop, whether or not earlier ones have ended, as many
// independent clients do, and returns when all have ended. A call that is late because the machine was busy is made up
// for at once.
func openLoop[T any](stop <-chan T, perSecond int, issue func(i int)) {
	var calls sync.WaitGroup
	defer calls.Wait()
	began := time.Now()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(perSecond)))):
			calls.Go(func() { issue(i) })
		}
	}
}

// record is a call that has ended.
type record struct {
	face, rpc string
	// deadline is how long the client was going to wait, and early says that this may be too short for the call to be
	// sent. Only the calls of virtual users have them.
	deadline time.Duration
	early    bool

	// fresh says that the call had a connection of its own.
	fresh bool

	issued time.Time
	took   time.Duration
	reply  reply
}

// tally collects the calls of a run.
type tally struct {
	mu      sync.Mutex
	records []record
}

// measure makes a call and adds how it ended to what is known of it.
func (l *tally) measure(r record, call func() reply) {
	r.issued = time.Now()
	r.reply = call()
	r.took = time.Since(r.issued)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = append(l.records, r)
}

// that returns the records for which all conditions hold. Call it when the load has ended.
func (l *tally) that(conditions ...func(record) bool) tallied {
	l.mu.Lock()
	defer l.mu.Unlock()
	var chosen tallied
	for _, r := range l.records {
		if !slices.ContainsFunc(conditions, func(holds func(record) bool) bool { return !holds(r) }) {
			chosen = append(chosen, r)
		}
	}
	return chosen
}

func over(face string) func(record) bool { return func(r record) bool { return r.face == face } }
func ok(r record) bool                   { return r.reply.ok() }
func refused(r record) bool              { return r.reply.refused() }

// safe says that a call may be sent twice.
func safe(r record) bool { return r.rpc != "Create" }

func ended(outcome string) func(record) bool {
	return func(r record) bool { return r.reply.outcome == outcome }
}

func not(condition func(record) bool) func(record) bool {
	return func(r record) bool { return !condition(r) }
}

// tallied are some of the calls of a run.
type tallied []record

// percentile returns the time within which so many hundredths of the calls ended, 0 when there are none.
func (l tallied) percentile(hundredths float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	times := make([]time.Duration, len(l))
	for i, r := range l {
		times[i] = r.took
	}
	slices.Sort(times)
	return times[max(0, int(math.Ceil(hundredths/100*float64(len(times))))-1)]
}

// table counts the calls by face, by whether they are safe to send twice, by outcome and by cause.
func (l tallied) table() string {
	groups := map[string]tallied{}
	for _, r := range l {
		kind := "safe, idempotent"
		if !safe(r) {
			kind = "Create"
		}
		row := fmt.Sprintf("  %-5s %-17s %-18s %-45.45s", r.face, kind, r.reply.outcome, r.reply.why())
		groups[row] = append(groups[row], r)
	}
	text := fmt.Sprintf("  %-5s %-17s %-18s %-45s %7s %11s %11s %11s\n",
		"face", "calls", "outcome", "cause", "count", "p50", "p99", "slowest")
	for _, row := range slices.Sorted(maps.Keys(groups)) {
		calls := groups[row]
		text += fmt.Sprintf("%s %7d %11s %11s %11s\n", row, len(calls), milliseconds(calls.percentile(50)),
			milliseconds(calls.percentile(99)), milliseconds(calls.percentile(100)))
	}
	return text
}

// examples shows a few of the calls with the time of day, to find them in the log of the service.
func (l tallied) examples() string {
	var lines []string
	for _, r := range l[:min(5, len(l))] {
		lines = append(lines, fmt.Sprintf("  %s %s %s after %s: %v",
			r.issued.UTC().Format("15:04:05.000"), r.face, r.rpc, milliseconds(r.took), r.reply.cause))
	}
	return strings.Join(lines, "\n")
}
