package seam

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// guarded are breakers whose attempts are made up.
type guarded struct{ *breakers }

// inBreakers runs a test of breakers under a clock of its own.
func inBreakers(t *testing.T, test func(t *testing.T, g guarded)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, guarded{newBreakers("seam.test", slog.New(slog.DiscardHandler))}) })
}

// try makes an attempt that ends at once, and reports whether it was allowed.
func (g guarded) try(caller Caller, result breakerResult) bool {
	began := time.Now()
	if g.allow(caller, began) != nil {
		return false
	}
	g.record(caller, began, result, errors.New("HTTP status 503"))
	return true
}

// attempts are attempts of callers in turn, with a pause before each.
type attempts struct {
	number int
	pause  time.Duration
	by     func(i int) Caller
	result breakerResult
}

func (g guarded) make(all ...attempts) {
	for _, a := range all {
		for i := range a.number {
			time.Sleep(a.pause)
			g.try(a.by(i), a.result)
		}
	}
}

// proven are n callers, from the first on.
func proven(first, n int) func(i int) Caller {
	return func(i int) Caller { return Caller{Key: uint64(first + i%n), Proven: true} }
}

// madeUp is another credential each time.
func madeUp(i int) Caller { return Caller{Key: uint64(1000 + i)} }

// provenAndMadeUp is a caller that has a proven credential too.
func provenAndMadeUp(i int) Caller {
	if i%2 == 0 {
		return proven(1, 1)(i)
	}
	return madeUp(i)
}

// TestWhenBreakersOpen shows how many failures of whom open which breaker.
func TestWhenBreakersOpen(t *testing.T) {
	const own, shared, neither = "own", "shared", "neither"
	const fail, succeed, ignored = breakerFailure, breakerSuccess, breakerIgnores
	const ms = time.Millisecond
	one, three, six, many := proven(1, 1), proven(1, 3), proven(1, 6), proven(1, 99)
	for name, test := range map[string]struct {
		opens    string
		attempts []attempts
	}{
		"20 failures":             {neither, []attempts{{20, 0, one, fail}}},
		"21 failures":             {own, []attempts{{21, 0, one, fail}}},
		"in 9.5 s":                {own, []attempts{{21, 475 * ms, one, fail}}},
		"in 11 s":                 {neither, []attempts{{21, 530 * ms, one, fail}}},
		"after 10 s":              {neither, []attempts{{20, 0, one, fail}, {1, 10_000 * ms, one, fail}, {19, 0, one, fail}}},
		"as many succeed":         {neither, []attempts{{1, 0, one, fail}, {30, 0, one, succeed}, {29, 0, one, fail}}},
		"fewer succeed":           {own, []attempts{{1, 0, one, fail}, {30, 0, one, succeed}, {30, 0, one, fail}}},
		"what says nothing":       {neither, []attempts{{1, 0, one, fail}, {99, 0, one, ignored}}},
		"20 of three callers":     {neither, []attempts{{20, 470 * ms, three, fail}}},
		"21 of three callers":     {shared, []attempts{{21, 470 * ms, three, fail}}},
		"of three in 11 s":        {neither, []attempts{{21, 530 * ms, three, fail}}},
		"of three at once":        {neither, []attempts{{60, 0, three, fail}}},
		"of 21 callers at once":   {shared, []attempts{{21, 0, many, fail}}},
		"of made-up ones":         {neither, []attempts{{99, 0, madeUp, fail}, {19, 0, many, fail}}},
		"made-up ones are one":    {shared, []attempts{{99, 0, madeUp, fail}, {20, 0, many, fail}}},
		"as many callers succeed": {neither, []attempts{{30, 0, proven(100, 30), succeed}, {30, 0, many, fail}}},
		"fewer callers succeed":   {shared, []attempts{{30, 0, proven(100, 30), succeed}, {31, 0, many, fail}}},
		"after what says nothing": {shared, []attempts{{21, 0, many, ignored}, {21, 0, many, fail}}},
		// Their own breakers open in the first second. So all but six of the 21 are refusals.
		"of six that are refused": {shared, []attempts{{126, 5 * ms, six, fail}, {20, 200 * ms, six, succeed}}},
	} {
		t.Run(name, func(t *testing.T) {
			inBreakers(t, func(t *testing.T, g guarded) {
				g.make(test.attempts...)
				if open := g.shared.state() == 2; open != (test.opens == shared) {
					t.Errorf("the shared breaker is open: %v", open)
				}
				if open := !g.try(proven(1, 1)(0), breakerIgnores); open != (test.opens != neither) {
					t.Errorf("the caller is refused: %v", open)
				}
				if open := !g.try(proven(99, 1)(0), breakerIgnores); open != (test.opens == shared) {
					t.Errorf("another caller is refused: %v", open)
				}
			})
		})
	}
}

// TestOneCallerCannotCutOffOthers shows that the failures which one caller provokes, who makes up as many credentials
// as it likes, never have the others refused, although these make few calls.
func TestOneCallerCannotCutOffOthers(t *testing.T) {
	for name, attacker := range map[string]func(i int) Caller{
		"one accepted credential":    proven(1, 1),
		"one unproven credential":    func(int) Caller { return madeUp(1) },
		"a new credential each time": madeUp,
		"both":                       provenAndMadeUp,
	} {
		t.Run(name, func(t *testing.T) {
			inBreakers(t, func(t *testing.T, g guarded) {
				for i := range 600 { // Ten failures a second.
					time.Sleep(100 * time.Millisecond)
					g.try(attacker(i), breakerFailure)
					if i%50 == 0 && !g.try(proven(11, 2)(i/50), breakerSuccess) {
						t.Fatalf("after %d failures of the attacker, a call of another is refused", i+1)
					}
				}
			})
		})
	}
}

// TestProbes shows what an open breaker lets through, and what closes it. In a script a letter is a caller; u and v are
// unproven. The sign after it is the end of its attempt: + succeeds, - fails, ? says nothing, ~ hangs, ! is refused. A
// capital letter is the end of the caller's attempt that hung, at first of one from before the breaker opened. A
// duration is a wait.
func TestProbes(t *testing.T) {
	for name, test := range map[string]struct {
		shared bool
		script string
		state  float64
	}{
		"it is open for 5 s":             {false, "a! 4.9s a!", 2},
		"then it is half open":           {false, "5s", 1},
		"three successes close it":       {false, "5s a+a+a+", 0},
		"two do not":                     {false, "5s a+a+", 1},
		"three probes at a time":         {false, "5s a~a~a~a!", 2},
		"three failures":                 {false, "5s a-a-a-a! 4.9s a! 0.1s a-a-a-a!", 2},
		"three that say nothing":         {false, "5s a?a?a?a! 4.9s a! 0.1s a+a+a+", 0},
		"three that hang":                {false, "5s a~a~a~a! 4.9s a! 0.1s a+a+a+", 0},
		"successes before failures":      {false, "5s a+a+a-a-a-a! 5s a+", 0},
		"a late success":                 {false, "5s a~a-a- 5s a-a-a-A+A+A+a!", 2},
		"a success opens no other place": {false, "5s a-a~A+a-a-a!", 2},

		"sent before it opened":    {false, "5s A+A+A+a+a+", 1},
		"sent before it closed":    {false, "5s a+a+a+" + strings.Repeat("A-", 99), 0},
		"what failed is forgotten": {false, "5s a+a+a+" + strings.Repeat("a-", 20), 0},
		"it opens a second time":   {false, "5s a+a+a+" + strings.Repeat("a-", 21) + "a!", 2},
		"and closes":               {false, "5s a+a+a+" + strings.Repeat("a-", 21) + " 5s a+a+a+", 0},

		"shared, open for 5 s":                {true, "a! 4.9s b!", 2},
		"shared, three successes of a caller": {true, "5s a+a+a+", 0},
		"shared, three failures":              {true, "5s a-b-c-d! 4.9s d! 0.1s d-b-c-a!", 2},
		"shared, one caller fails":            {true, "5s a-a!b+b+a!b+", 0},
		"shared, two callers fail":            {true, "5s a-a!b-b!c+c+c+", 0},
		"shared, one caller hangs":            {true, "5s a~a!b+b+a!b+", 0},
		"shared, two callers hang":            {true, "5s a~a!b~b!c+c+c+", 0},
		"shared, unproven ones are one":       {true, "5s u~v!a~b+b+b+", 0},
		"shared, hung for long":               {true, "5s a~b~c~d! 5s d~e~f~a! 5s a+b+c+", 0},
		"shared, late successes":              {true, "5s a~b~c~ 5s d~e~f~A+B+C+g!", 2},
	} {
		t.Run(name, func(t *testing.T) {
			inBreakers(t, func(t *testing.T, g guarded) {
				b, before := g.shared, time.Now()
				time.Sleep(time.Second)
				if test.shared {
					g.make(attempts{21, 0, proven(1, 21), breakerFailure})
				} else {
					g.make(attempts{21, 0, proven('a', 1), breakerFailure})
					b, _ = g.own.Get('a')
				}
				g.run(t, test.script, before)
				if state := b.state(); state != test.state {
					t.Errorf("the state is %v, want %v", state, test.state)
				}
			})
		})
	}
}

// run runs a script. An attempt of the caller a has hung since before.
func (g guarded) run(t *testing.T, script string, before time.Time) {
	t.Helper()
	results := map[byte]breakerResult{'+': breakerSuccess, '-': breakerFailure, '?': breakerIgnores}
	hung := map[byte]time.Time{'a': before}
	for word := range strings.FieldsSeq(script) {
		if wait, err := time.ParseDuration(word); err == nil {
			time.Sleep(wait)
			continue
		}
		for step := range slices.Chunk([]byte(word), 2) {
			letter, end := step[0]|' ', step[1]
			caller := Caller{Key: uint64(letter), Proven: letter < 'u'}
			if step[0] != letter {
				g.record(caller, hung[letter], results[end], nil)
				continue
			}
			began := time.Now()
			if allowed := g.allow(caller, began) == nil; allowed != (end != '!') {
				t.Errorf("%s in %s: allowed is %v", step, script, allowed)
			}
			if result, ended := results[end]; ended {
				g.record(caller, began, result, nil)
			} else {
				hung[letter] = began
			}
		}
	}
}

// TestAttemptsCountWhenTheyEnd shows that attempts which began in the course of half a minute open the breaker when they
// end together: while Seam hangs, there are no others.
func TestAttemptsCountWhenTheyEnd(t *testing.T) {
	inBreakers(t, func(t *testing.T, g guarded) {
		g.make(attempts{1, 0, proven(1, 1), breakerFailure})
		time.Sleep(30 * time.Second)
		for i := range 21 {
			g.record(proven(1, 1)(0), time.Now().Add(-time.Duration(i)*time.Second), breakerFailure, nil)
		}
		if g.callersCutOff() != 1 {
			t.Error("the breaker stays closed")
		}
	})
}

// TestRecoveryOfAllCallers shows that when Seam is well again, three calls of whomever close the shared breaker, and from
// then on every call is made, although the callers' own breakers opened too, and later.
func TestRecoveryOfAllCallers(t *testing.T) {
	inBreakers(t, func(t *testing.T, g guarded) {
		const callers = 30
		began := time.Now()
		for i := range 30 * callers { // All that are in flight fail.
			g.record(proven(1, callers)(i), began, breakerFailure, nil)
			time.Sleep(5 * time.Millisecond)
		}
		if state, cutOff := g.shared.state(), g.callersCutOff(); state != 2 || cutOff != callers {
			t.Fatalf("the shared breaker is in state %v, %v callers are cut off", state, cutOff)
		}
		time.Sleep(5*time.Second - time.Since(g.shared.changed))
		for i := range 3 {
			if !g.try(proven(1, callers)(i), breakerSuccess) {
				t.Errorf("probe %d is refused", i)
			}
		}
		time.Sleep(5 * time.Second)
		for i := range 3 * callers {
			if !g.try(proven(1, callers)(i), breakerSuccess) {
				t.Fatalf("call %d is refused", i)
			}
		}
		if state, cutOff := g.shared.state(), g.callersCutOff(); state != 0 || cutOff != 0 {
			t.Errorf("the shared breaker is in state %v, %v callers are cut off", state, cutOff)
		}
	})
}

// TestBreakerLog shows what an operator reads about a breaker.
func TestBreakerLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		g := guarded{newBreakers("seam.test", slog.New(slog.NewTextHandler(&log, nil)))}
		g.make(attempts{21, 0, proven(1, 1), breakerFailure}, attempts{20, 0, proven(2, 20), breakerFailure})
		g.run(t, "5s a+a+a+", time.Now())
		const line = `time=\S+ level=%s msg="circuit breaker" host=seam.test scope="%s"%s from=%s to=%s%s\n`
		const caller, cause = ` caller=""`, ` cause="HTTP status 503"`
		want := fmt.Sprintf(line+line+line, "WARN", "one caller", caller, "closed", "open", cause,
			"WARN", "all callers", "", "closed", "open", cause, "INFO", "all callers", "", "open", "closed", "")
		if !regexp.MustCompile("^" + want + "$").MatchString(log.String()) {
			t.Errorf("the log says\n%s", log.String())
		}
	})
}

// TestBreakersAreBounded shows that callers who fail take memory up to a bound.
func TestBreakersAreBounded(t *testing.T) {
	inBreakers(t, func(t *testing.T, g guarded) {
		g.make(attempts{3000, time.Second, proven(1, 3000), breakerSuccess})
		if own, counted := g.own.Len(), len(g.shared.counted); own != 0 || counted != 1 {
			t.Errorf("%d callers without a failure have a breaker, %d have counted in this second", own, counted)
		}
		if g.make(attempts{3000, 0, madeUp, breakerFailure}); g.own.Len() != maxOwnBreakers {
			t.Errorf("%d callers have a breaker", g.own.Len())
		}
	})
}
