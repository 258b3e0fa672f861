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

// step is a stretch of time in the life of a budget: a wait, then calls, and then as many retries as there may be.
type step struct {
	wait         time.Duration
	calls, wants int
}

// The window slides second by second, so that neither a burst of failures nor a pause makes room for another burst.
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
		"pause of whole windows":       {{3 * second, 1000, 100}, {20 * second, 0, 10}, {10 * second, 0, 10}},
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
					retries := 0
					if s.wants == none {
						continue
					}
					for b.retry(Caller{Key: 1, Proven: true}) {
						retries++
					}
					if retries != s.wants {
						t.Errorf("step %d: %d retries, want %d", i, retries, s.wants)
					}
				}
			})
		})
	}
}

// In no ten seconds are there more retries than the bound says, however calls and retries fall.
func TestBudgetNeverOverdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		var calls, retries []time.Time
		since := func(times []time.Time, from time.Time) int {
			n := 0
			for _, at := range times {
				if at.After(from) {
					n++
				}
			}
			return n
		}
		for i := range 2000 {
			time.Sleep(time.Duration(i%7) * 13 * time.Millisecond)
			if i%400 < 200 { // Busy and idle in turn.
				b.call()
				calls = append(calls, time.Now())
			}
			if !b.retry(Caller{Key: 1, Proven: true}) {
				continue
			}
			retries = append(retries, time.Now())
			// The seconds are whole ones, so what is counted is between nine and ten seconds long.
			inNine := since(retries, time.Now().Add(-9*time.Second))
			if bound := max(10, since(calls, time.Now().Add(-10*time.Second))/10); inNine > bound {
				t.Fatalf("%d retries in nine seconds, bound %d", inNine, bound)
			}
		}
		if len(retries) < 50 {
			t.Errorf("only %d retries were let through", len(retries))
		}
	})
}

// Many calls at once must not get more than one could.
func TestBudgetInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		var retries atomic.Int32
		var done sync.WaitGroup
		for range 50 {
			done.Go(func() {
				for range 20 {
					b.call()
				}
			})
		}
		done.Wait()
		for range 50 {
			done.Go(func() {
				for range 20 {
					if b.retry(Caller{Key: 1, Proven: true}) {
						retries.Add(1)
					}
				}
			})
		}
		done.Wait()
		if n := retries.Load(); n != 100 {
			t.Errorf("%d retries for 1000 calls", n)
		}
	})
}
