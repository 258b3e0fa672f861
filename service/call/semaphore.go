package call

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// queueShare is the length of the queue as a part of the limit, one in so many. The queue absorbs the jitter of
	// arrivals. A longer one would only make every accepted call slower, since a queue that stays full adds its whole
	// length to each.
	queueShare = 8

	// queueTime is how long a call waits at most. A burst is over by then, and a caller still has most of its deadline
	// left to retry elsewhere.
	queueTime = 50 * time.Millisecond

	// overloadTime is the Retry-After of a refused call: longer than a burst, shorter than the start of a replica.
	overloadTime = time.Second
)

// semaphore limits the calls in flight, so that the service stays within its memory and the calls that it accepts meet
// their deadlines. A call without a free slot waits in the queue for queueTime and is then refused. No caller gets more
// than its share, so that slow calls of one caller leave slots for the others. Public methods are exempt: a busy
// service is not dead.
type semaphore struct {
	inFlight prometheus.Gauge
	// refused counts the calls without a slot, and overShare those of a caller that has its share.
	refused, overShare prometheus.Counter
	// share is how many slots one caller may have, and maxWaiters the length of the queue.
	share, maxWaiters int

	mu       sync.Mutex
	free     int
	byCaller map[uint64]int
	// waiters has a *waiter for each call in the queue, the oldest first.
	waiters list.List
}

// waiter is a call in the queue. ready is closed when the call gets a slot.
type waiter struct {
	caller uint64
	ready  chan struct{}
}

func newSemaphore(limit int, inFlight prometheus.Gauge, refused *prometheus.CounterVec) *semaphore {
	return &semaphore{
		inFlight: inFlight, refused: refused.WithLabelValues("in_flight"),
		overShare: refused.WithLabelValues("caller_share"),
		share:     max(1, limit-limit/4), maxWaiters: max(1, limit/queueShare),
		free: limit, byCaller: map[uint64]int{},
	}
}

// acquire takes a slot for a call, or returns why the call is refused.
func (s *semaphore) acquire(ctx context.Context, c *Call) *seamerr.Error {
	if c.Method.Public {
		return nil
	}
	if refusal := s.wait(ctx, c.sharedKey()); refusal != nil {
		return refusal
	}
	s.inFlight.Inc()
	return nil
}

// release gives back the slot that acquire has taken, to the first call in the queue that may have it.
func (s *semaphore) release(c *Call) {
	if c.Method.Public {
		return
	}
	s.inFlight.Dec()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	caller := c.sharedKey()
	if s.byCaller[caller]--; s.byCaller[caller] == 0 {
		delete(s.byCaller, caller)
	}
	for element := s.waiters.Front(); element != nil; element = element.Next() {
		if next, ok := element.Value.(*waiter); ok && s.take(next.caller) {
			s.waiters.Remove(element)
			close(next.ready)
			return
		}
	}
}

// take takes a slot if there is one and the caller may have it.
func (s *semaphore) take(caller uint64) bool {
	if s.free == 0 || s.byCaller[caller] >= s.share {
		return false
	}
	s.free--
	s.byCaller[caller]++
	return true
}

// wait returns nil once the call of a caller has a slot, else why the call is refused.
func (s *semaphore) wait(ctx context.Context, caller uint64) *seamerr.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.take(caller) {
		return nil
	}
	// A caller that has its share leaves the queue to the others, and half of it where there are none so far.
	mayWait := s.waiters.Len() < s.maxWaiters
	if s.byCaller[caller] >= s.share {
		mayWait = len(s.byCaller) == 1 && s.waiters.Len() < s.maxWaiters/2
	}
	if !mayWait {
		return s.refuse(caller)
	}
	w := &waiter{caller: caller, ready: make(chan struct{})}
	element := s.waiters.PushBack(w)
	s.mu.Unlock()
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case <-w.ready:
	case <-ctx.Done():
	case <-timer.C:
	}
	s.mu.Lock()
	select {
	case <-w.ready:
		return nil
	default:
	}
	s.waiters.Remove(element)
	if err := ctx.Err(); err != nil {
		return seamerr.From(err)
	}
	return s.refuse(caller)
}

// refuse returns the refusal of a call that gets no slot: a caller that has its share would get none if there were one.
func (s *semaphore) refuse(caller uint64) *seamerr.Error {
	if s.byCaller[caller] >= s.share && len(s.byCaller) > 1 {
		s.overShare.Inc()
		return seamerr.CallerRateLimited(overloadTime)
	}
	s.refused.Inc()
	return seamerr.Overloaded(overloadTime)
}
