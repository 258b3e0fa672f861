package seam

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// Seam that takes requests and never responds is the worst of failures, and the one whose attempts end long after they
// began. They must count however long they take, and wherever in a second they began.
func TestBreakerCountsSlowAttempts(t *testing.T) {
	t.Parallel()
	for _, deadline := range []time.Duration{
		5 * time.Second, 9 * time.Second, 9200 * time.Millisecond, 9900 * time.Millisecond, 10 * time.Second,
		10100 * time.Millisecond, 29900 * time.Millisecond, time.Minute,
	} {
		for _, phase := range []time.Duration{0, 300 * time.Millisecond, 900 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s from %s", deadline, phase), func(t *testing.T) {
				inBubble(t, silent, func(t *testing.T, b bubble) {
					time.Sleep(phase)
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					defer cancel()
					var calls sync.WaitGroup
					for range 20 {
						calls.Go(func() {
							if err := b.once(ctx); err.GRPCCode() != codes.DeadlineExceeded {
								t.Errorf("error is %v", err)
							}
						})
					}
					calls.Wait()
					if state := ownState(b); state != 2 {
						t.Errorf("after 20 calls that Seam did not response in %s, the state is %v", deadline, state)
					}
				})
			})
		}
	}
}

// Calls that the breaker refused sent no request, so they make no room for retries: Seam that has just come back is not
// to be met by all the retries that were not due while it was left alone.
func TestRefusedCallsMakeNoRoomForRetries(t *testing.T) {
	s := newSick()
	inBubble(t, s.response, func(t *testing.T, b bubble) {
		s.open(t, b)
		for range 1000 {
			wantRefused(t, b.once(t.Context()), 5*time.Second)
		}
		retries := 0
		for b.budget.retry(Caller{}) {
			retries++
		}
		if retries != budgetFloor/callerShare {
			t.Errorf("%d retries may be sent after %d requests", retries, s.seen.Load())
		}
	})
}

// Failures are forgotten after ten seconds: what counts is how it goes now.
func TestBreakerForgets(t *testing.T) {
	s := newSick()
	inBubble(t, s.response, func(t *testing.T, b bubble) {
		for range 10 {
			for range 19 {
				b.once(t.Context())
			}
			time.Sleep(11 * time.Second)
		}
		if state := ownState(b); state != 0 {
			t.Errorf("after 19 failures in each eleven seconds, the state is %v", state)
		}
	})
}
