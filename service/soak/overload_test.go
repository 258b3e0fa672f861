//go:build soak

package soak_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestOverload shows what ten times as many calls as the service takes do to it: those that it accepts are nearly as
// fast as before, the others are refused at once, and afterwards all is as it was.
//
// How much it takes is bounded by --max-in-flight, of which one caller gets three quarters, and by how long Seam takes,
// and not by the machine: 20 calls of 100 milliseconds each are 200 a second, and ten times that are 2000 a second,
// which two processors can serve together with the clients that send them and the Seam that responds. With the
// processors at their end, it would be they that are measured. Each phase prints how busy they were.
func TestOverload(t *testing.T) {
	const (
		maxInFlight = 26
		share       = 20
		seamDelay   = 100 * time.Millisecond
		capacity    = share * int(time.Second/seamDelay)
		deadline    = 10 * time.Second
	)
	seam := startSeam(t)
	seam.inject(t, sandbox.Fault{Delay: seamDelay})
	service := startService(t, seam,
		"--max-in-flight", strconv.Itoa(maxInFlight), "--drain-delay", "0s")
	clients := newCaller(t, service.Addresses, 4)

	phase := func(name string, during time.Duration, perSecond int) *tally {
		var calls tally
		before := readProcessors(t, seam.process, service)
		openLoop(time.After(during), perSecond, func(i int) {
			face := []string{faceGRPC, faceREST}[i%2]
			calls.measure(record{face: face}, func() reply { return clients.grantOver(face, deadline) })
		})
		t.Logf("%s: %d calls/s for %s; %s:\n%s", name, perSecond, during, before.use(t), calls.that().table())
		return &calls
	}
	// The first calls open connections and fill pools, which is not what is compared.
	phase("warm-up", 3*time.Second, capacity*8/10)
	before := phase("before", 15*time.Second, capacity*8/10)
	idle := readLoad(t, service).rss
	during := phase("overload", time.Minute, capacity*10)
	overloadEnded := time.Now()
	peak := peakMemory(t, service)
	after := phase("after", 5*time.Second, capacity*8/10)
	t.Logf("memory: %s before, %s at its peak, heap after a collection %s", idle, peak, heap(service))

	for _, face := range []string{faceGRPC, faceREST} {
		rejected := during.that(over(face), refused)
		want := map[string]string{faceGRPC: "ResourceExhausted", faceREST: "503"}[face]
		for _, r := range rejected {
			if r.reply.outcome != want || r.reply.retryAfter != time.Second {
				t.Errorf("a refusal over %s is %s, to be tried again after %s", face, r.reply, r.reply.retryAfter)
				break
			}
		}
		if len(rejected) == 0 {
			t.Errorf("nothing was refused over %s", face)
		}
	}
	if got, bar := during.that(ok).percentile(99), 2*before.that(ok).percentile(99); got > bar {
		t.Errorf("p99 of accepted calls is %s under overload, over %s", milliseconds(got), milliseconds(bar))
	}
	if got := during.that(refused).percentile(50); got >= 5*time.Millisecond {
		t.Errorf("half of the refusals take %s and longer", milliseconds(got))
	}
	// A service that keeps itself below what it takes has to make use of what it takes.
	if got, want := len(during.that(ok)), capacity*60*9/10; got < want {
		t.Errorf("%d calls were accepted under overload, fewer than %d", got, want)
	}
	// What is still in flight from the overload keeps others out for as long as Seam takes, and no longer.
	late := after.that(refused, func(r record) bool { return r.issued.Sub(overloadEnded) > time.Second })
	if len(late) > 0 {
		t.Errorf("%d calls were refused when the overload had been over for a second", len(late))
	}
	for _, calls := range []*tally{before, during, after} {
		if other := calls.that(not(ok), not(refused)); len(other) > 0 {
			t.Errorf("%d calls failed otherwise, such as:\n%s", len(other), other.examples())
		}
	}
}
