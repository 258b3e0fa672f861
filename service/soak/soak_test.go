//go:build soak

package soak_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// TestSoak lets the service work for SOAK_TIME, ten minutes unless it is set, on some 650 calls of all kinds a second,
// which keep two processors half busy with the clients and Seam on the same machine, over both faces, with clients that
// disconnect early and a Seam that fails at random. It shows that every call gets its response, that both sides count
// the same, and that nothing is left behind: no goroutines, no descriptors and no memory.
func TestSoak(t *testing.T) {
	const (
		steps  = 540 // a second; a step is 1.2 calls on average
		warmUp = 20 * time.Second
	)
	soakTime := soakTime(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	seam := startSeam(t)
	// The end of the service is not what this is about.
	service := startService(t, seam, "--drain-delay", "0s")

	run := func(during time.Duration, stream uint64) *virtualUsers {
		v := &virtualUsers{clients: newCaller(t, service.Addresses, 4), random: rand.New(rand.NewPCG(seed, stream))}
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			misbehave(t, seam, rand.New(rand.NewPCG(seed, stream+1)), stop)
		}()
		defer func() {
			close(stop)
			<-stopped
			seam.reset(t)
			v.clients.close()
		}()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			openLoop(time.After(during), steps, func(int) { v.step() })
		}()
		select {
		case <-ended:
		case <-time.After(during + time.Minute):
			t.Fatal("calls hang: a minute after the last was made not all have ended")
		}
		return v
	}
	// What a service that has worked has, and one that has just begun does not: pools that are filled, code that was
	// read. And both times without a connection, so that the same is compared.
	first := run(warmUp, 0)
	before := settle(t, service, standing{})
	used := readProcessors(t, seam.process, service)
	calls := run(soakTime, 2)
	use := used.use(t)
	after := settle(t, service, before)

	t.Logf("%d calls in %s; %s:\n%s", len(calls.that()), soakTime, use, calls.that().table())
	now := service.Metrics()
	t.Logf("Seam: %.0f requests for %.0f calls, %.0f retries denied, %.0f calls refused while a breaker was open, "+
		"which was %d times; %.0f connections opened",
		now.Sum(t, "client_session_service_upstream_attempts_total"), now.Sum(t, "grpc_server_handled_total"),
		now.Sum(t, "client_session_service_upstream_retries_denied_total"),
		now.Sum(t, "client_session_service_upstream_refused_total"),
		strings.Count(service.Log(), `"to":"open"`),
		now.Sum(t, "client_session_service_upstream_connections_total"))
	t.Logf("idle before: %s", before)
	t.Logf("idle after:  %s; peak of memory %s", after, peakMemory(t, service))
	compareCounts(t, readLoad(t, service), first, calls)
	after.compare(t, before)
	if panics := now.Sum(t, "client_session_service_panics_total"); panics != 0 {
		t.Errorf("%.0f calls panicked", panics)
	}
	for _, v := range []*virtualUsers{first, calls} {
		if late := v.that(func(r record) bool { return r.took > r.deadline+5*time.Second }); len(late) > 0 {
			t.Errorf("%d calls ended more than 5 s after their deadline, such as:\n%s", len(late), late.examples())
		}
		if cutOff := v.that(ended(cut)); len(cutOff) > 0 {
			t.Errorf("%d calls got no whole response, such as:\n%s", len(cutOff), cutOff.examples())
		}
	}
}

// soakTime is how long the load is to last.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SOAK_TIME")
	if text == "" {
		return 10 * time.Minute
	}
	duration, err := time.ParseDuration(text)
	if err != nil || duration <= 0 {
		t.Fatalf("SOAK_TIME %q is not a time above zero, such as 10m", text)
	}
	return duration
}

// compareCounts compares what the clients sent with what the service counted. A call whose client stayed for its
// response has reached the service; one whose client left may have ended before it was sent, and may be counted or not.
// Every accepted call must have got its response, also where the client did not wait for it any more.
func compareCounts(t *testing.T, now load, runs ...*virtualUsers) {
	t.Helper()
	stayed, left := 0, 0
	for _, v := range runs {
		stayed += len(v.that(not(abandons)))
		left += len(v.that(abandons))
		if issued, ended := int(v.issued.Load()), len(v.that()); issued != ended {
			t.Errorf("%d calls were issued and %d ended", issued, ended)
		}
	}
	started, handled := now.started, now.handled
	t.Logf("clients: %d calls that waited for their response and %d that left; service: %d taken, %d handled",
		stayed, left, started, handled)
	if started != handled {
		t.Errorf("the service took %d calls and handled %d", started, handled)
	}
	if started < stayed || started > stayed+left {
		t.Errorf("the service took %d calls, not from %d to %d", started, stayed, stayed+left)
	}
}
