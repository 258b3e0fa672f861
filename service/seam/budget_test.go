package seam

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// none in place of a number of retries: none is asked for.
const none = -1

// step is a stretch of time in the life of a budget: a wait, then calls, and then as many retries of one caller as
// there may be.
type step struct {
	wait         time.Duration
	calls, wants int
}

// TestBudget shows that the window slides second by second, so that neither a burst of failures nor a pause makes room
// for another burst. One caller may use half of the budget.
func TestBudget(t *testing.T) {
	const second = time.Second
	for name, steps := range map[string][]step{
		"floor without calls":           {{0, 0, 10}, {9 * second, 0, 0}, {second, 0, 10}},
		"floor with few calls":          {{0, 50, 10}, {0, 50, 0}},
		"a tenth":                       {{0, 100, 10}, {0, 9, 0}, {0, 1, 1}, {0, 890, 89}, {0, 9, 0}},
		"a tenth is rounded down":       {{0, 119, 11}, {0, 1, 1}},
		"calls count for ten seconds":   {{0, 1000, none}, {9 * second, 0, 100}},
		"calls count no longer":         {{0, 1000, none}, {10 * second, 0, 10}},
		"retries count for ten seconds": {{0, 1000, 100}, {9 * second, 0, 0}, {second, 0, 10}},
		"slides": {
			{0, 200, 20},                     // t=0
			{5 * second, 200, 20},            // t=5: 400 calls, 40 retries.
			{5 * second, 100, 10},            // t=10: what was at 0 is gone, 300 calls and 20 retries are left.
			{4 * second, 0, 0},               // t=14: the same.
			{second, 0, 0},                   // t=15: 100 calls, 10 retries.
			{4999 * time.Millisecond, 0, 0},  // t=19.999: the same.
			{1 * time.Millisecond, 0, 10},    // t=20: nothing is left, and the floor is free.
			{10 * second, 0, 10},             // t=30
			{500 * time.Millisecond, 150, 5}, // t=30.5: within the same second as the 10.
		},
		"pause longer than the window": {{0, 1000, 100}, {time.Hour, 0, 10}, {24 * time.Hour, 200, 20}},
		"late start":                   {{1000*time.Hour + 700*time.Millisecond, 0, 10}, {300 * time.Millisecond, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget()
				for i, s := range steps {
					time.Sleep(s.wait) // By the fake clock.
					for range s.calls {
						b.call()
					}
					if s.wants == none {
						continue
					}
					if retries := b.retries(Caller{Key: 1, Proven: true}); retries != s.wants {
						t.Errorf("step %d: %d retries, want %d", i, retries, s.wants)
					}
				}
			})
		})
	}
}

// retries asks for many retries at once, and returns how many are allowed.
func (b *budget) retries(caller Caller) int {
	var allowed atomic.Int32
	var asked sync.WaitGroup
	for range 120 {
		asked.Go(func() {
			if b.retry(caller) {
				allowed.Add(1)
			}
		})
	}
	asked.Wait()
	return int(allowed.Load())
}

// TestOneCallerLeavesRetriesForOthers shows that callers whose calls fail cannot use up the retries of the others, and
// that all together have no more than the budget.
func TestOneCallerLeavesRetriesForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		for i, test := range []struct {
			caller Caller
			wants  int
		}{
			{Caller{Key: 1, Proven: true}, 10}, // Half of the floor.
			{Caller{Key: 2}, 10},
			{Caller{Key: 3}, 0}, // Those that are not proven count as one.
			{Caller{Key: 4, Proven: true}, 0},
		} {
			if retries := b.retries(test.caller); retries != test.wants {
				t.Errorf("caller %d: %d retries, want %d", i, retries, test.wants)
			}
		}
	})
}
