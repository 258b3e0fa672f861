//go:build soak

package soak_test

import (
	"errors"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// retryPolicy is what clients/README.md recommends, for all calls and with a wait for a connection: a service that is
// replaced on one machine is gone for a moment.
const retryPolicy = `{"methodConfig": [{
	"name": [{"service": "seam.clientsession.v1.ClientSessionService"}],
	"waitForReady": true,
	"retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE"]}}]}`

// TestRestart shows that a restart under load costs no call: over gRPC none fails, and over REST, where clients do not
// retry a POST, none that was accepted is cut off. A connection that was refused because the port is closed between the
// two processes is not a call that was accepted; on a machine with a load balancer the next replica takes it.
func TestRestart(t *testing.T) {
	const (
		rate      = 200 // calls a second over gRPC, over REST, and over REST with a connection for each call
		restarts  = 3
		interval  = 10 * time.Second
		deadline  = 10 * time.Second
		seamDelay = 30 * time.Millisecond // So that calls are in flight when the shutdown begins
	)
	seam := startSeam(t)
	seam.inject(t, sandbox.Fault{Delay: seamDelay})
	flags := append(listenAgain(t), "--drain-delay", "1s")
	service := startService(t, seam, flags...)
	clients := newCaller(t, service.Addresses, 4, grpc.WithDefaultServiceConfig(retryPolicy))
	// Those who connect anew for each call, as curl does, meet the end at every moment of a connection's life.
	fleeting := newCaller(t, service.Addresses, 0)
	fleeting.http.Transport = &http.Transport{DisableKeepAlives: true}
	// The kernel resets the connections that wait in the queue of a listener that closes; no program has accepted them,
	// nor can any accept all and stop at once. They are few, and told apart by having been reset before any response.
	queued := func(r record) bool { return r.fresh && errors.Is(r.reply.cause, syscall.ECONNRESET) }

	var calls tally
	var load sync.WaitGroup
	for _, from := range []struct {
		face    string
		clients *caller
		fresh   bool
	}{{faceGRPC, clients, false}, {faceREST, clients, false}, {faceREST, fleeting, true}} {
		load.Go(func() {
			openLoop(time.After((restarts+1)*interval), rate, func(int) {
				calls.measure(record{face: from.face, fresh: from.fresh}, func() reply { return from.clients.grantOver(from.face, deadline) })
			})
		})
	}
	type restart struct{ told, ready time.Time }
	var done []restart
	for range restarts {
		time.Sleep(interval)
		told := time.Now()
		drain := service.Stop()
		service = startService(t, seam, flags...)
		done = append(done, restart{told, time.Now()})
		t.Logf("restart at %s: drained in %s, the new process was ready %s later",
			told.UTC().Format("15:04:05.000"), milliseconds(drain), milliseconds(time.Since(told)-drain))
	}
	load.Wait()

	rejected := calls.that(over(faceREST), ended(notAccepted))
	for i, r := range done {
		var first, last time.Time
		count := 0
		for _, call := range rejected {
			if call.issued.Before(r.told) || call.issued.After(r.ready.Add(time.Second)) {
				continue
			}
			if count == 0 || call.issued.Before(first) {
				first = call.issued
			}
			if call.issued.After(last) {
				last = call.issued
			}
			count++
		}
		t.Logf("restart %d: the REST port was closed for about %s (%d connections refused)",
			i+1, milliseconds(last.Sub(first)), count)
	}
	failed := calls.that(over(faceGRPC), not(ok))
	reset := calls.that(queued)
	lost := calls.that(over(faceREST), not(ok), not(ended(notAccepted)), not(queued))
	lastOnes := calls.that(func(r record) bool { return r.reply.closed })
	t.Logf("%d calls failed over gRPC; over REST %d were cut, %d not accepted, %d reset in the queue, and %d responses say "+
		"Connection: close:\n%s", len(failed), len(lost), len(rejected), len(reset), len(lastOnes), calls.that().table())
	if len(reset) > 2*restarts {
		t.Errorf("%d connections were reset, which is more than can have waited in a queue", len(reset))
	}
	if len(failed)+len(lost) > 0 {
		t.Errorf("calls failed, such as:\n%s\n%s", failed.examples(), lost.examples())
	}
}
