package interceptor_test

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
)

// rateHarness is the step with the counter of its refusals.
type rateHarness struct {
	step    grpc.UnaryServerInterceptor
	refused prometheus.Counter
}

func newRateHarness(rps float64) *rateHarness {
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})
	return &rateHarness{interceptor.CallerRate(rps, refused), refused}
}

// call makes one call and returns whether it passed and, if not, its Retry-After.
func (r *rateHarness) call(t *testing.T, call callinfo.Call) (passed bool, wait time.Duration) {
	t.Helper()
	ctx, _ := withCall(t, call)
	got, err := r.step(ctx, nil, info(), respond("response", nil))
	if err == nil {
		return got == "response", 0
	}
	e := asError(t, err)
	if e.Type != "caller_rate_limited" || e.GRPCCode() != codes.ResourceExhausted || e.HTTPStatus != 429 || e.RetryAfter == nil {
		t.Fatalf("error is %+v", e)
	}
	return false, *e.RetryAfter
}

// passing makes n calls and returns how many passed.
func (r *rateHarness) passing(t *testing.T, n int, call callinfo.Call) (passed int) {
	t.Helper()
	for range n {
		if ok, _ := r.call(t, call); ok {
			passed++
		}
	}
	return passed
}

// proven is the record of a call by a proven caller, and unproven that of another one.
func proven(name string) callinfo.Call {
	return callinfo.Call{Face: callinfo.FaceGRPC, CallerKey: maphash.String(seed, name), Proven: true}
}

func unproven(name string) callinfo.Call {
	call := proven(name)
	call.Proven = false
	return call
}

var seed = maphash.MakeSeed()

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
				r := newRateHarness(test.rps)
				if passed := r.passing(t, test.burst, proven("a")); passed != test.burst {
					t.Errorf("%d of the first %d passed", passed, test.burst)
				}
				// A refused call takes no token, so the wait does not grow.
				for range 5 {
					if passed, wait := r.call(t, proven("a")); passed || wait != test.wait {
						t.Errorf("passed: %t, Retry-After %v", passed, wait)
					}
				}
				if n := count(t, r.refused); n != 5 {
					t.Errorf("%v counted as refused", n)
				}
			})
		})
	}
}

func TestCallerRateRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRateHarness(10)
		r.passing(t, 10, proven("a"))
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
			if passed := r.passing(t, 20, proven("a")); passed != test.passed {
				t.Errorf("%d: %d passed, want %d", i, passed, test.passed)
			}
		}
		// A caller that waits for the Retry-After passes.
		for range 50 {
			passed, wait := r.call(t, proven("a"))
			if passed {
				t.Fatal("passed without a token")
			}
			time.Sleep(wait)
			if passed, wait = r.call(t, proven("a")); !passed {
				t.Fatalf("another Retry-After of %v", wait)
			}
		}
	})
}

// The first call takes the only token of its bucket, so the second shows whether it shares the bucket.
func TestCallerRateBuckets(t *testing.T) {
	overREST := proven("a")
	overREST.Face = callinfo.FaceREST
	for name, test := range map[string]struct {
		first, second callinfo.Call
		shared        bool
	}{
		"same caller":                  {proven("a"), proven("a"), true},
		"other caller":                 {proven("a"), proven("b"), false},
		"both faces":                   {proven("a"), overREST, true},
		"unproven callers":             {unproven("a"), unproven("b"), true},
		"proven and unproven":          {proven("a"), unproven("b"), false},
		"a caller before it is proven": {unproven("a"), proven("a"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRateHarness(1)
				if passed, _ := r.call(t, test.first); !passed {
					t.Error("the first was refused")
				}
				if passed, _ := r.call(t, test.second); passed == test.shared {
					t.Errorf("the second passed: %t", passed)
				}
			})
		})
	}
}

// An evicted caller starts with a full bucket, which shows that its bucket was dropped: made-up credentials cannot
// exhaust the memory.
func TestCallerRateKeepsABoundedNumberOfBuckets(t *testing.T) {
	const bound = 10_000
	for name, test := range map[string]struct {
		others int
		passes bool
	}{
		"as many as are kept": {bound - 1, false},
		"one more":            {bound, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRateHarness(1)
				r.call(t, proven("first"))
				for i := range test.others {
					r.call(t, proven(fmt.Sprint(i)))
				}
				if passed, _ := r.call(t, proven("first")); passed != test.passes {
					t.Errorf("passed: %t", passed)
				}
			})
		})
	}
}

// In real time and with real goroutines: a bucket must not be created twice, nor its times be out of order.
func TestCallerRateConcurrently(t *testing.T) {
	const rps, crowd, each = 200, 16, 500
	r := newRateHarness(rps)
	var passed, refused atomic.Int32
	var callers sync.WaitGroup
	start := time.Now()
	for range crowd {
		callers.Go(func() {
			for range each {
				ctx := callinfo.NewContext(t.Context(), &callinfo.Call{CallerKey: 1, Proven: true})
				if _, err := r.step(ctx, nil, info(), respond(nil, nil)); err == nil {
					passed.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	callers.Wait()
	most := rps + rps*time.Since(start).Seconds()
	if got := float64(passed.Load()); got < rps || got > most {
		t.Errorf("%v passed, want from %d to %v", got, rps, most)
	}
	if count(t, r.refused) != float64(refused.Load()) || passed.Load()+refused.Load() != crowd*each {
		t.Errorf("%d passed, %d refused, %v counted", passed.Load(), refused.Load(), count(t, r.refused))
	}
}
