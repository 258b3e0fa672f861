package interceptor_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/service/service/callinfo"
	"github.com/clientsession/service/service/interceptor"
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

// sends is the record of a call with headers for Seam, given as name and value by turns.
func sends(headers ...string) callinfo.Call {
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Add(headers[i], headers[i+1])
	}
	return callinfo.Call{Face: callinfo.FaceGRPC, SeamHeader: header}
}

func named(name string) callinfo.Call { return callinfo.Call{Face: callinfo.FaceGRPC, Caller: name} }

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
	const token = "seam_cst1_passw0rd"
	held := func(name string) callinfo.Call {
		call := sends("authorization", "Bearer seam_held")
		call.Caller, call.HeldKey = name, true
		return call
	}
	digest := sha256.Sum256([]byte(token))
	overREST := sends("authorization", "Bearer "+token)
	overREST.Face = callinfo.FaceREST
	for name, test := range map[string]struct {
		first, second callinfo.Call
		shared        bool
	}{
		"same name":                    {named("a"), named("a"), true},
		"other name":                   {named("a"), named("b"), false},
		"names with the service's key": {held("a"), held("b"), false},
		"one name with another key":    {held("a"), named("a"), true},
		"nobody's name, one key":       {held(""), held(""), true},
		"a name and the key alone":     {held("a"), held(""), false},
		"same credential":              {sends("authorization", "Bearer "+token), sends("authorization", "Bearer "+token), true},
		"other credential":             {sends("authorization", "Bearer "+token), sends("authorization", "Bearer "+token+"2"), false},
		"both faces":                   {sends("authorization", "Bearer "+token), overREST, true},
		"scheme in lower case":         {sends("authorization", "Bearer "+token), sends("authorization", "bearer  "+token), true},
		"both headers of a session":    {sends("client-session-token", token), sends("seam-client-session-token", token), true},
		"header and bearer":            {sends("client-session-token", token), sends("authorization", "Bearer "+token), true},
		"told twice":                   {sends("client-session-token", token), sends("client-session-token", token, "seam-client-session-token", token), true},
		"other publishable key":        {sends("seam-publishable-key", "seam_pk1"), sends("seam-publishable-key", "seam_pk2"), false},
		"one more credential":          {sends("client-session-token", token), sends("client-session-token", token, "seam-publishable-key", "seam_pk1"), false},
		"what is no credential": {
			sends("authorization", "Bearer "+token, "seam-workspace", "w1", "seam-sdk-version", "1"),
			sends("authorization", "Bearer "+token, "seam-workspace", "w2"), true,
		},
		"a credential like a name":   {named("x"), sends("authorization", "caller:x"), false},
		"a name like a credential":   {named("credential:" + string(digest[:])), sends("authorization", token), false},
		"no credential and no name":  {callinfo.Call{}, callinfo.Call{}, false},
		"headers without credential": {sends("seam-workspace", "w"), sends("seam-workspace", "w"), false},
		"empty credential":           {sends("authorization", " "), sends("authorization", " "), false},
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

// An evicted caller starts with a full bucket, and so shows that its bucket was let go: what callers make up cannot fill
// the memory.
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
					r.call(t, sends("authorization", fmt.Sprintf("Bearer %d", i)))
				}
				if passed, _ := r.call(t, named("first")); passed != test.passes {
					t.Errorf("came through: %t", passed)
				}
			})
		})
	}
}

func TestCallerRateTellsNoSecret(t *testing.T) {
	const secret = "seam_passw0rd"
	r := newRateRig(0.001)
	ctx, _ := withCall(t, sends("authorization", "Bearer "+secret, "seam-publishable-key", secret))
	_, _ = r.step(ctx, nil, info(), answer(nil, nil))
	_, err := r.step(ctx, nil, info(), answer(nil, nil))
	e := asError(t, err)
	envelope, envelopeErr := e.Envelope()
	if envelopeErr != nil {
		t.Fatal(envelopeErr)
	}
	for _, text := range []string{err.Error(), e.GRPCStatus().Proto().String(), string(envelope), fmt.Sprintf("%+v", *e)} {
		if strings.Contains(text, secret) {
			t.Errorf("the error tells the credential: %s", text)
		}
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
				ctx := callinfo.NewContext(t.Context(), &callinfo.Call{Caller: "a"})
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
