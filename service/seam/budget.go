package seam

import (
	"sync"
	"time"
)

const (
	// budgetShare is the share of the calls that may be retried, as 1/budgetShare: when all of Seam fails, it gets a
	// fifth more requests than calls, and not three times as many.
	budgetShare = 5
	// budgetFloor is how many retries are allowed in a window, however few calls there are. Without it, a service with
	// little load could never retry.
	budgetFloor = 20
	// callerShare is how much of both one caller may use, as 1/callerShare: its failures leave retries for the others.
	callerShare = 2
	// budgetSeconds is the length of the window.
	budgetSeconds = 10
)

// budget is the retry budget: it bounds the retries by the calls of the last seconds.
type budget struct {
	start time.Time

	mu      sync.Mutex
	seconds [budgetSeconds]budgetSecond
}

// budgetSecond counts the calls and retries of one second, by its number since the start.
type budgetSecond struct {
	number         int64
	calls, retries int
	// ofCaller has the retries of each caller.
	ofCaller map[uint64]int
}

func newBudget() *budget { return &budget{start: time.Now()} }

// call counts a call's first request.
func (b *budget) call() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.second().calls++
}

// retry reports whether another retry of a call of the caller is allowed, and counts it.
func (b *budget) retry(caller Caller) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, now := caller.sharedKey(), b.second()
	allowed, used, own := b.sum(now, key)
	if used >= allowed || own >= allowed/callerShare {
		return false
	}
	now.retries++
	if now.ofCaller == nil {
		now.ofCaller = map[uint64]int{}
	}
	now.ofCaller[key]++
	return true
}

// left is how many retries are allowed now, for a metric.
func (b *budget) left() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	allowed, used, _ := b.sum(b.second(), 0)
	return float64(max(0, allowed-used))
}

// sum returns how many retries the window allows and has, and how many of these are of one caller.
func (b *budget) sum(now *budgetSecond, key uint64) (allowed, used, own int) {
	calls := 0
	for i := range b.seconds {
		if second := &b.seconds[i]; second.number > now.number-budgetSeconds {
			calls += second.calls
			used += second.retries
			own += second.ofCaller[key]
		}
	}
	return max(budgetFloor, calls/budgetShare), used, own
}

// second returns the counts of the current second, by the monotonic clock, which does not jump.
func (b *budget) second() *budgetSecond {
	number := int64(time.Since(b.start) / time.Second)
	second := &b.seconds[number%budgetSeconds]
	if second.number != number {
		*second = budgetSecond{number: number}
	}
	return second
}
