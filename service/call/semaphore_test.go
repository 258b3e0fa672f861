package call

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// crowd makes calls that hold their slots until they may leave.
type crowd struct {
	*testServer

	leave chan struct{}
	// callers is how many there were. Each call is of another, so that none has its share.
	callers atomic.Uint64
}

func newCrowd(t *testing.T, limit int) *crowd {
	t.Helper()
	s := newTestServer(t, func(c *Config) { c.MaxInFlight, c.CallerRPS = limit, 1_000_000 })
	return &crowd{testServer: s, leave: make(chan struct{})}
}

// waiting returns how many calls are in the queue, and taken how many slots are taken.
func (s *semaphore) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiters.Len()
}

func (s *semaphore) taken() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.byCaller {
		n += of
	}
	return n
}

// call makes one call, and returns why it was refused.
func (c *crowd) call(ctx context.Context) *seamerr.Error {
	return c.serveCall(ctx, &Call{Face: FaceGRPC, Method: &Method{}, CallerKey: c.callers.Add(1), Proven: true}, handling(func(context.Context) error {
		<-c.leave
		return nil
	}))
}

// calls makes n calls at once, and returns when each is in flight, waits or has ended.
func (c *crowd) calls(ctx context.Context, n int) {
	for range n {
		go func() { _ = c.call(ctx) }()
	}
	synctest.Wait()
}

// expect fails unless so many calls are in flight, wait and have been refused.
func (c *crowd) expect(t *testing.T, when string, within, waiting, refused int) {
	t.Helper()
	synctest.Wait()
	type state struct{ within, gauge, waiting, refused int }
	s, want := c.slots, state{within, within, waiting, refused}
	got := state{s.taken(), int(count(t, s.inFlight)), s.waiting(), int(count(t, s.refused))}
	if got != want {
		t.Errorf("%s the calls are %+v, want %+v", when, got, want)
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
				c := newCrowd(t, test.limit)
				c.calls(t.Context(), test.calls)
				c.expect(t, "at once", test.within, test.waiting, test.calls-test.within-test.waiting)
				// A call that waits gets the next slot and leaves its place in the queue.
				c.leave <- struct{}{}
				synctest.Wait()
				c.calls(t.Context(), 1)
				c.expect(t, "after one has left", test.within, test.waiting, test.calls-test.within-test.waiting)
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

// TestInFlightRefusals shows why a call that waits in vain is refused. Only one that has waited for its time counts as
// refused.
func TestInFlightRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		canceled, deadline time.Duration // After these times, and the call ends a little before its deadline.
		after              time.Duration
		errorType          string
		code               codes.Code
		refused            int
	}{
		"no slot":  {time.Hour, time.Hour, 50 * time.Millisecond, "overloaded", codes.ResourceExhausted, 1},
		"canceled": {10 * time.Millisecond, time.Hour, 10 * time.Millisecond, "canceled", codes.Canceled, 0},
		"deadline": {
			time.Hour, 20 * time.Millisecond, 18 * time.Millisecond, "upstream_timeout", codes.DeadlineExceeded, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCrowd(t, 1)
				c.calls(t.Context(), 1)
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				defer time.AfterFunc(test.canceled, cancel).Stop()
				start := time.Now()
				e := c.call(ctx)
				if errorType(e) != test.errorType || e.GRPCCode() != test.code || time.Since(start) != test.after {
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

// TestShareOfSlots shows that slow calls of one caller leave slots for the others, and that all callers that are not
// proven are one.
func TestShareOfSlots(t *testing.T) {
	s := newCrowd(t, 100).slots
	busy := &Call{Method: &Method{}, CallerKey: 1, Proven: true}
	for i := range 75 {
		if e := s.acquire(t.Context(), busy); e != nil {
			t.Fatalf("call %d of one caller: %v", i, e)
		}
	}
	if e := s.acquire(t.Context(), busy); e == nil || e.Type != "overloaded" {
		t.Errorf("a call of the only caller, which has its share: %v", e)
	}
	for i := range uint64(25) {
		// None is proven, so they are one caller.
		if e := s.acquire(t.Context(), &Call{Method: &Method{}, CallerKey: 2 + i}); e != nil {
			t.Fatalf("call %d of another caller: %v", i, e)
		}
	}
	if e := s.acquire(t.Context(), busy); e == nil || e.Type != "caller_rate_limited" || count(t, s.overShare) != 1 {
		t.Errorf("a call of a caller with its share beside another: %v", e)
	}
	if e := s.acquire(t.Context(), &Call{Method: &Method{}}); e == nil || e.Type != "overloaded" {
		t.Errorf("a call without a slot: %v", e)
	}
	// Calls of a caller with its share leave the queue to the others, and half of it where there are none.
	for others, want := range map[int]int{0: 6, 1: 0} {
		synctest.Test(t, func(t *testing.T) {
			s := newCrowd(t, 100).slots
			for range others {
				_ = s.acquire(t.Context(), &Call{Method: &Method{}})
			}
			for range 200 {
				go func() { _ = s.acquire(t.Context(), busy) }()
			}
			synctest.Wait()
			if n := s.waiting(); n != want {
				t.Errorf("beside %d others, %d calls in the queue are of a caller with its share, want %d", others, n, want)
			}
		})
	}
	s.release(busy)
	if e := s.acquire(t.Context(), busy); e != nil {
		t.Errorf("after a call has ended: %v", e)
	}
}
