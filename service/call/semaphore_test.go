package call

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// crowd makes calls that hold their slots until they may leave.
type crowd struct {
	*semaphore

	leave chan struct{}
	// callers is how many there were. Each call is of another, so that none has its share.
	callers atomic.Uint64
}

func newCrowd(limit int) *crowd {
	return &crowd{
		newSemaphore(limit, prometheus.NewGauge(prometheus.GaugeOpts{Name: "in_flight"}),
			prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"limit"})),
		make(chan struct{}), atomic.Uint64{},
	}
}

// taken returns how many slots are taken.
func (s *semaphore) taken() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.byCaller {
		n += of
	}
	return n
}

// call makes one call, and runs a function while the call is in flight.
func (c *crowd) call(ctx context.Context, while func()) *seamerr.Error {
	one := &Call{Method: &Method{}, CallerKey: c.callers.Add(1), Proven: true}
	if e := c.acquire(ctx, one); e != nil {
		return e
	}
	defer c.release(one)
	while()
	return nil
}

// calls makes n calls, and returns once each is in flight, waits or has ended.
func (c *crowd) calls(ctx context.Context, n int) {
	for range n {
		go func() { _ = c.call(ctx, func() { <-c.leave }) }()
	}
	synctest.Wait()
}

// expect fails unless so many calls are in flight, wait and have been refused.
func (c *crowd) expect(t *testing.T, when string, within, waiting, refused int) {
	t.Helper()
	synctest.Wait()
	if c.taken() != within || c.waiters.Len() != waiting || int(count(t, c.refused)) != refused {
		t.Errorf("%s %d calls are in flight, %d wait and %v were refused, want %d, %d and %d",
			when, c.taken(), c.waiters.Len(), count(t, c.refused), within, waiting, refused)
	}
	if gauge := count(t, c.inFlight); int(gauge) != within {
		t.Errorf("%s the gauge is %v, want %d", when, gauge, within)
	}
}

// TestInFlightBounds shows how many calls get a slot, wait for at most 50 ms, and are refused at once.
func TestInFlightBounds(t *testing.T) {
	for name, test := range map[string]struct{ limit, calls, within, waiting int }{
		"slots for all":            {8, 8, 8, 0},
		"one waits":                {8, 9, 8, 1},
		"queue is full":            {8, 12, 8, 1},
		"a limit of one":           {1, 5, 1, 1},
		"a queue of at least one":  {7, 12, 7, 1},
		"a queue of an eighth":     {64, 100, 64, 8},
		"an eighth, rounded down":  {63, 100, 63, 7},
		"the default, overcrowded": {1024, 2000, 1024, 128},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(test.limit)
				c.calls(t.Context(), test.calls)
				c.expect(t, "at once", test.within, test.waiting, test.calls-test.within-test.waiting)
				time.Sleep(50*time.Millisecond - time.Nanosecond)
				c.expect(t, "before 50 ms", test.within, test.waiting, test.calls-test.within-test.waiting)
				time.Sleep(time.Nanosecond)
				c.expect(t, "after 50 ms", test.within, 0, test.calls-test.within)
				close(c.leave)
				c.expect(t, "in the end", 0, 0, test.calls-test.within)
			})
		})
	}
}

// TestInFlightWaitingCallGetsIn shows that a call which waits gets the next slot and leaves its place in the queue.
func TestInFlightWaitingCallGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(2)
		c.calls(t.Context(), 3)
		time.Sleep(49 * time.Millisecond)
		c.leave <- struct{}{}
		c.expect(t, "after one has left", 2, 0, 0)
		c.calls(t.Context(), 1)
		time.Sleep(25 * time.Millisecond)
		c.expect(t, "with one more", 2, 1, 0)
		close(c.leave)
		c.expect(t, "in the end", 0, 0, 0)
	})
}

// TestInFlightRefusals shows why a call that waits in vain is refused. Only one that has waited for its time counts as
// refused.
func TestInFlightRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		end       func(context.Context) (context.Context, context.CancelFunc)
		after     time.Duration
		errorType string
		code      codes.Code
		refused   int
	}{
		"no slot": {context.WithCancel, 50 * time.Millisecond, "overloaded", codes.ResourceExhausted, 1},
		"canceled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(10*time.Millisecond, cancel)
			return ctx, cancel
		}, 10 * time.Millisecond, "canceled", codes.Canceled, 0},
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		}, 20 * time.Millisecond, "upstream_timeout", codes.DeadlineExceeded, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(1)
				c.calls(t.Context(), 1)
				ctx, cancel := test.end(t.Context())
				defer cancel()
				start := time.Now()
				e := c.call(ctx, func() { t.Error("the call is in flight") })
				if e.Type != test.errorType || e.GRPCCode() != test.code || time.Since(start) != test.after {
					t.Errorf("after %s the error is %+v", time.Since(start), e)
				}
				if test.refused == 1 && (e.HTTPStatus != 503 || e.RetryAfter == nil || *e.RetryAfter != time.Second) {
					t.Errorf("the refusal is %+v", e)
				}
				c.expect(t, "at its end", 1, 0, test.refused)
				close(c.leave)
			})
		})
	}
}

// TestInFlightConcurrently runs in real time and with real goroutines, so that the race detector sees what a bubble may
// order.
func TestInFlightConcurrently(t *testing.T) {
	const limit, callers, each = 16, 200, 20
	c := newCrowd(limit)
	var within, served atomic.Int32
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				_ = c.call(t.Context(), func() {
					if now := within.Add(1); now > limit {
						t.Errorf("%d calls at once", now)
					}
					served.Add(1)
					time.Sleep(100 * time.Microsecond)
					within.Add(-1)
				})
			}
		})
	}
	all.Wait()
	if n := int(served.Load()); n < limit || n+int(count(t, c.refused)) != callers*each {
		t.Errorf("%d were served, %v refused", n, count(t, c.refused))
	}
	if c.taken() != 0 || count(t, c.inFlight) != 0 {
		t.Errorf("in the end %d are in flight, the gauge is %v", c.taken(), count(t, c.inFlight))
	}
}

// TestShareOfSlots shows that slow calls of one caller leave slots for the others, and that all callers that are not
// proven are one.
func TestShareOfSlots(t *testing.T) {
	s := newCrowd(100).semaphore
	busy := &Call{Method: &Method{}, CallerKey: 1, Proven: true}
	for i := range 75 {
		if e := s.acquire(t.Context(), busy); e != nil {
			t.Fatalf("call %d of one caller: %v", i, e)
		}
	}
	if e := s.acquire(t.Context(), busy); e == nil || e.Type != "caller_rate_limited" || count(t, s.overShare) != 1 {
		t.Errorf("a call of a caller with its share: %v", e)
	}
	for i := range uint64(25) {
		// None is proven, so they are one caller.
		if e := s.acquire(t.Context(), &Call{Method: &Method{}, CallerKey: 2 + i}); e != nil {
			t.Fatalf("call %d of another caller: %v", i, e)
		}
	}
	if e := s.acquire(t.Context(), &Call{Method: &Method{}}); e == nil || e.Type != "overloaded" {
		t.Errorf("a call without a slot: %v", e)
	}
	s.release(busy)
	if e := s.acquire(t.Context(), busy); e != nil {
		t.Errorf("after a call has ended: %v", e)
	}
}
