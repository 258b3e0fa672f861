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

// rateRig is the step with the counter of its refusals.
type rateRig struct {
	step    grpc.UnaryServerInterceptor
	refused prometheus.Counter
}

func newRateRig(rps float64) *rateRig {
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})
	return &rateRig{interceptor.CallerRate(rps, refused), refused}
}

// call makes one call and returns whether it came through, and if not, the wait that it was told.
func (r *rateRig) call(t *testing.T, call callinfo.Call) (passed bool, wait time.Duration) {
	t.Helper()
	ctx, _ := withCall(t, call)
	got, err := r.step(ctx, nil, info(), answer("answer", nil))
	if err == nil {
		return got == "answer", 0
	}
	e := asError(t, err)
	if e.Type != "caller_rate_limited" || e.GRPCCode() != codes.ResourceExhausted || e.HTTPStatus != 429 || e.RetryAfter == nil {
		t.Fatalf("error is %+v", e)
	}
	return false, *e.RetryAfter
}

// passing makes n calls and returns how many came through.
func (r *rateRig) passing(t *testing.T, n int, call callinfo.Call) (passed int) {
	t.Helper()
	for range n {
		if ok, _ := r.call(t, call); ok {
			passed++
		}
	}
	return passed
}

// named is the record of a call of a caller that is known, and unproven that of one that is not.
func named(name string) callinfo.Call {
	return callinfo.Call{Face: callinfo.FaceGRPC, CallerKey: maphash.String(seed, name), Proven: true}
}

func unproven(name string) callinfo.Call {
	call := named(name)
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
				r := newRateRig(test.rps)
				if passed := r.passing(t, test.burst, named("a")); passed != test.burst {
					t.Errorf("%d of the first %d came through", passed, test.burst)
				}
				// A refused call takes no token, so the wait does not grow.
				for range 5 {
					if passed, wait := r.call(t, named("a")); passed || wait != test.wait {
						t.Errorf("came through: %t, told to wait %v", passed, wait)
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
		r := newRateRig(10)
		r.passing(t, 10, named("a"))
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
			if passed := r.passing(t, 20, named("a")); passed != test.passed {
				t.Errorf("%d: %d came through, want %d", i, passed, test.passed)
			}
		}
		// Whoever waits as long as told, comes through.
		for range 50 {
			passed, wait := r.call(t, named("a"))
			if passed {
				t.Fatal("came through without a token")
			}
			time.Sleep(wait)
			if passed, wait = r.call(t, named("a")); !passed {
				t.Fatalf("told to wait another %v", wait)
			}
		}
	})
}

// Who has a bucket in common: the first call takes the only token of its bucket, so the second shows whether it is the
// same one.
func TestCallerRateBuckets(t *testing.T) {
	overREST := named("a")
	overREST.Face = callinfo.FaceREST
	for name, test := range map[string]struct {
		first, second callinfo.Call
		shared        bool
	}{
		"same caller":                 {named("a"), named("a"), true},
		"other caller":                {named("a"), named("b"), false},
		"both faces":                  {named("a"), overREST, true},
		"unproven callers":            {unproven("a"), unproven("b"), true},
		"proven and unproven":         {named("a"), unproven("b"), false},
		"a caller before it is known": {unproven("a"), named("a"), false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRateRig(1)
				if passed, _ := r.call(t, test.first); !passed {
					t.Error("the first was refused")
				}
				if passed, _ := r.call(t, test.second); passed == test.shared {
					t.Errorf("the second came through: %t", passed)
				}
			})
		})
	}
}

// An evicted caller starts with a full bucket, and so shows that its bucket was let go: what callers make up cannot
// fill the memory.
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
				r := newRateRig(1)
				r.call(t, named("first"))
				for i := range test.others {
					r.call(t, named(fmt.Sprint(i)))
				}
				if passed, _ := r.call(t, named("first")); passed != test.passes {
					t.Errorf("came through: %t", passed)
				}
			})
		})
	}
}

// In real time and with real goroutines: a bucket must not be made twice, nor its times come out of order.
func TestCallerRateCrowd(t *testing.T) {
	const rps, crowd, each = 200, 16, 500
	r := newRateRig(rps)
	var passed, refused atomic.Int32
	var callers sync.WaitGroup
	start := time.Now()
	for range crowd {
		callers.Go(func() {
			for range each {
				ctx := callinfo.NewContext(t.Context(), &callinfo.Call{CallerKey: 1, Proven: true})
				if _, err := r.step(ctx, nil, info(), answer(nil, nil)); err == nil {
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
		t.Errorf("%v came through, want from %d to %v", got, rps, most)
	}
	if count(t, r.refused) != float64(refused.Load()) || passed.Load()+refused.Load() != crowd*each {
		t.Errorf("%d passed, %d refused, %v counted", passed.Load(), refused.Load(), count(t, r.refused))
	}
}
