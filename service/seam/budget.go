package seam

import (
	"sync"
	"time"
)

const (
	// budgetShare is the share of the calls that may be retried, as 1/budgetShare: when all of Seam fails, it gets a
	// tenth more requests than calls, and not three times as many.
	budgetShare = 10
	// budgetFloor is how many retries are allowed in a window, however few calls there are. Without it, a service with
	// little load could never retry.
	budgetFloor = 10
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
}

func newBudget() *budget { return &budget{start: time.Now()} }

// call counts a call's first request.
func (b *budget) call() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.second().calls++
}

// retry reports whether another retry is allowed, and counts it.
func (b *budget) retry() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.allowed() == 0 {
		return false
	}
	b.second().retries++
	return true
}

// left is how many retries are allowed now, for a metric.
func (b *budget) left() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return float64(b.allowed())
}

// allowed is how many retries are allowed now.
func (b *budget) allowed() int {
	now := b.second()
	calls, retries := 0, 0
	for _, second := range b.seconds {
		if second.number > now.number-budgetSeconds {
			calls += second.calls
			retries += second.retries
		}
	}
	return max(0, max(budgetFloor, calls/budgetShare)-retries)
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
