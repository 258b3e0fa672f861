package call

import (
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

// TestCallerRate shows how many calls a caller may make at once, how long it has to wait then, and that one which waits
// for that time passes.
func TestCallerRate(t *testing.T) {
	for name, test := range map[string]struct {
		rps   float64
		burst int
		wait  time.Duration
	}{
		"ten a second":       {10, 10, 100 * time.Millisecond},
		"one a second":       {1, 1, time.Second},
		"one in two seconds": {0.5, 1, 2 * time.Second},
		"a fraction":         {2.5, 3, 400 * time.Millisecond},
		"rounded up":         {3, 3, 334 * time.Millisecond},
		"many a second":      {900, 900, 2 * time.Millisecond},
		"too long to tell":   {1e-300, 1, 24 * time.Hour},
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
				if test.wait == maxBucketWait {
					return
				}
				time.Sleep(test.wait - time.Millisecond)
				if passed := b.passing(1); passed != 0 {
					t.Error("a call passes before the Retry-After")
				}
				time.Sleep(time.Millisecond)
				if passed := b.passing(2); passed != 1 {
					t.Errorf("after the Retry-After %d calls pass", passed)
				}
				time.Sleep(time.Hour) // No more than one second's worth is saved up.
				if passed := b.passing(test.burst + 1); passed != test.burst {
					t.Errorf("after an hour %d calls pass", passed)
				}
			})
		})
	}
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
