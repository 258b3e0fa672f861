package call

import (
	"context"
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
// their deadlines. A call without a free slot waits in the queue for queueTime and is then refused. Public methods are
// exempt: a busy service is not dead.
type semaphore struct {
	// slots has an element for each call in flight, and waiters one for each call in the queue.
	slots, waiters chan struct{}
	inFlight       prometheus.Gauge
	refused        prometheus.Counter
}

func newSemaphore(limit int, inFlight prometheus.Gauge, refused prometheus.Counter) *semaphore {
	return &semaphore{
		slots:    make(chan struct{}, limit),
		waiters:  make(chan struct{}, max(1, limit/queueShare)),
		inFlight: inFlight, refused: refused,
	}
}

// acquire takes a slot for a call, or returns why the call is refused.
func (s *semaphore) acquire(ctx context.Context, c *Call) *seamerr.Error {
	if c.Method.Public {
		return nil
	}
	if refusal := s.wait(ctx); refusal != nil {
		return refusal
	}
	s.inFlight.Inc()
	return nil
}

// release gives back the slot that acquire has taken.
func (s *semaphore) release(c *Call) {
	if !c.Method.Public {
		s.inFlight.Dec()
		<-s.slots
	}
}

// wait returns nil once the call has a slot, else why the call is refused.
func (s *semaphore) wait(ctx context.Context) *seamerr.Error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.waiters <- struct{}{}:
		defer func() { <-s.waiters }()
	default:
		return s.refuse()
	}
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return seamerr.From(ctx.Err())
	case <-timer.C:
		return s.refuse()
	}
}

func (s *semaphore) refuse() *seamerr.Error {
	s.refused.Inc()
	return seamerr.Overloaded(overloadTime)
}
