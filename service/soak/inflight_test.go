//go:build soak

package soak_test

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestInFlight shows that the service holds ten thousand calls at once while Seam takes its time, and what each of
// them costs.
//
// The sandbox takes 250 calls on a connection over HTTP/2, but net/http dials one for each call that finds none with
// room, so a crowd opens thousands. Over gRPC all calls come in on a few connections. Over REST each comes in on one of
// its own, so that a call may take two of the descriptors of the service, and 9,000 calls are what fits in a limit of
// 20,000.
//
// Two processors need more than two seconds to start all calls, so with a Seam that takes two the first are done
// before the last are started. A second run with a slower Seam shows all of them in flight at the same time.
func TestInFlight(t *testing.T) {
	for _, c := range []crowd{
		{face: faceGRPC, calls: 10_000, seamDelay: 2 * time.Second},
		{face: faceGRPC, calls: 10_000, seamDelay: 8 * time.Second, together: true},
		{face: faceREST, calls: 9_000, seamDelay: 2 * time.Second},
		{face: faceREST, calls: 9_000, seamDelay: 8 * time.Second, together: true},
	} {
		t.Run(fmt.Sprintf("%s/%s", c.face, c.seamDelay), c.run)
	}
}

// crowd is a number of calls that are all made at once. Together says that all have to be in flight at the same time.
type crowd struct {
	face      string
	calls     int
	seamDelay time.Duration
	together  bool
}

func (c crowd) run(t *testing.T) {
	const (
		conns    = 100 // The service takes 100 calls on a connection.
		deadline = 50 * time.Second
	)
	seam := startSeam(t)
	// One caller gets three quarters of the slots.
	service := startService(t, seam, "--max-in-flight", "14000",
		"--default-timeout", "60s", "--max-timeout", "60s", "--drain-delay", "0s")
	clients := newCaller(t, service.Addresses, conns)
	// The first calls open the connections over gRPC and fill pools, which is no cost of a call in flight.
	for range 10 * conns {
		if got := clients.grantOver(c.face, deadline); !got.ok() {
			t.Fatalf("the first calls end with %s: %v", got, got.cause)
		}
	}
	seam.inject(t, sandbox.Fault{Delay: c.seamDelay})
	idle := readLoad(t, service)

	var all tally
	var wait sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(c.calls))
	before := readProcessors(t, seam.process, service)
	began := time.Now()
	for range c.calls {
		wait.Go(func() {
			defer left.Add(-1)
			all.measure(record{face: c.face}, func() reply { return clients.grantOver(c.face, deadline) })
		})
	}
	most := idle
	for left.Load() > 0 {
		if now := readLoad(t, service); now.inFlight > most.inFlight {
			most = now
		}
		time.Sleep(20 * time.Millisecond)
	}
	wait.Wait()
	good := all.that(ok)
	t.Logf("%s: %d calls at once, %d succeeded in %s (p50 %s, slowest %s), %d in flight at the same time; "+
		"%s", c.face, c.calls, len(good), milliseconds(time.Since(began)),
		milliseconds(good.percentile(50)), milliseconds(good.percentile(100)), most.inFlight, before.use(t))
	each := func(now, then int) string {
		return strconv.FormatFloat(float64(now-then)/float64(max(1, most.inFlight)), 'f', 2, 64)
	}
	t.Logf("%s: memory %s idle and %s with %d in flight, so %s for each; and %s goroutines, %s descriptors for each",
		c.face, idle.rss, most.rss, most.inFlight, (most.rss-idle.rss)/size(max(1, most.inFlight)),
		each(most.goroutines, idle.goroutines), each(most.descriptors, idle.descriptors))
	if len(good) != c.calls {
		t.Errorf("not all succeeded:\n%s\nsuch as:\n%s", all.that().table(), all.that(not(ok)).examples())
	}
	if c.together && most.inFlight < c.calls {
		t.Errorf("only %d of %d calls were ever in flight at the same time", most.inFlight, c.calls)
	}
}
