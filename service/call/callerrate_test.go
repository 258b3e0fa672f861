package call

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

func newTestBuckets(rps float64) *buckets {
	return newBuckets(rps, prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"}))
}

// by is a call by a caller with that key.
func by(key uint64, proven bool) *Call {
	return &Call{Face: FaceGRPC, Method: &Method{}, CallerKey: key, Proven: proven}
}

// passing makes n calls by a proven caller and returns how many passed.
func (b *buckets) passing(n int) (passed int) {
	for range n {
		if b.take(by(1, true)) == nil {
			passed++
		}
	}
	return passed
}

func TestCallerRateBurstAndWait(t *testing.T) {
	for name, test := range map[string]struct {
		rps   float64
		burst int
		wait  time.Duration
	}{
		"ten a second":        {10, 10, 100 * time.Millisecond},
		"one a second":        {1, 1, time.Second},
		"one in two seconds":  {0.5, 1, 2 * time.Second},
		"a fraction":          {2.5, 3, 400 * time.Millisecond},
		"rounded up":          {3, 3, 334 * time.Millisecond},
		"below a millisecond": {5000, 5000, time.Millisecond},
		"too long to tell":    {1e-300, 1, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestBuckets(test.rps)
				if passed := b.passing(test.burst); passed != test.burst {
					t.Errorf("%d of the first %d passed", passed, test.burst)
				}
				// A refused call takes no token, so the wait does not grow.
				for range 5 {
					e := b.take(by(1, true))
					if e == nil || e.Type != "caller_rate_limited" || e.GRPCCode() != codes.ResourceExhausted ||
						e.HTTPStatus != 429 || e.RetryAfter == nil || *e.RetryAfter != test.wait {
						t.Errorf("error is %+v, want a Retry-After of %v", e, test.wait)
					}
				}
				if n := count(t, b.refused); n != 5 {
					t.Errorf("%v counted as refused", n)
				}
			})
		})
	}
}

func TestCallerRateRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestBuckets(10)
		b.passing(10)
		for i, test := range []struct {
			sleep  time.Duration
			passed int
		}{
			{99 * time.Millisecond, 0},
			{time.Millisecond, 1},
			{250 * time.Millisecond, 2},
			{50 * time.Millisecond, 1},
			{500 * time.Millisecond, 5},
			{time.Hour, 10}, // No more than one second's worth is saved up.
		} {
			time.Sleep(test.sleep)
			if passed := b.passing(20); passed != test.passed {
				t.Errorf("%d: %d passed, want %d", i, passed, test.passed)
			}
		}
		// A caller that waits for the Retry-After passes.
		for range 50 {
			wait := b.wait(1)
			if wait == 0 {
				t.Fatal("passed without a token")
			}
			time.Sleep(wait)
			if again := b.wait(1); again != 0 {
				t.Fatalf("another Retry-After of %v", again)
			}
		}
	})
}

// TestCallerRateBuckets shows which calls share a bucket: the first call takes the only token, so that the second is
// refused if it shares the bucket.
func TestCallerRateBuckets(t *testing.T) {
	overREST, public := by(1, true), by(1, true)
	overREST.Face, public.Method = FaceREST, &Method{Public: true}
	for name, test := range map[string]struct {
		first, second *Call
		shared        bool
	}{
		"same caller":                  {by(1, true), by(1, true), true},
		"other caller":                 {by(1, true), by(2, true), false},
		"both faces":                   {by(1, true), overREST, true},
		"unproven callers":             {by(1, false), by(2, false), true},
		"proven and unproven":          {by(1, true), by(2, false), false},
		"a caller before it is proven": {by(1, false), by(1, true), false},
		"a public method":              {by(1, true), public, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTestBuckets(0.001)
			if e := b.take(test.first); e != nil {
				t.Errorf("the first was refused: %v", e)
			}
			if e := b.take(test.second); (e != nil) != test.shared {
				t.Errorf("the second: %v", e)
			}
		})
	}
	if e := (*buckets)(nil).take(by(1, true)); e != nil {
		t.Errorf("without a limit: %v", e)
	}
}

// TestCallerRateKeepsABoundedNumberOfBuckets shows that made-up credentials cannot exhaust the memory: an evicted caller
// starts with a full bucket, so its bucket was dropped.
func TestCallerRateKeepsABoundedNumberOfBuckets(t *testing.T) {
	for others, passes := range map[uint64]bool{10_000 - 1: false, 10_000: true} {
		b := newTestBuckets(0.001)
		b.passing(1)
		for i := range others {
			b.take(by(2+i, true))
		}
		if passed := b.passing(1) == 1; passed != passes {
			t.Errorf("after %d other callers the first one passed: %t", others, passed)
		}
	}
}

// TestCallerRateConcurrently runs in real time and with real goroutines: a bucket must not be created twice, nor its
// times be out of order.
func TestCallerRateConcurrently(t *testing.T) {
	const rps, callers, each = 200, 16, 500
	b := newTestBuckets(rps)
	var passed atomic.Int32
	var all sync.WaitGroup
	start := time.Now()
	for range callers {
		all.Go(func() { passed.Add(int32(b.passing(each))) })
	}
	all.Wait()
	most := rps + rps*time.Since(start).Seconds()
	if got := float64(passed.Load()); got < rps || got > most || got+count(t, b.refused) != callers*each {
		t.Errorf("%v passed, want from %d to %v; %v counted as refused", got, rps, most, count(t, b.refused))
	}
}
