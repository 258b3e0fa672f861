//go:build soak

package soak_test

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// The times of a Seam that misbehaves.
const (
	// faultInterval is between two faults on average. Each is for a few of some three hundred requests a second, so most
	// go well.
	faultInterval = 700 * time.Millisecond
	// faultTime is how long a fault waits for requests to meet it. Without an end, faults would pile up while the
	// circuit breaker keeps all requests away, and meet the few that it then probes with.
	faultTime = 100 * time.Millisecond
	// outageInterval is between two outages, in which Seam responds to nothing well for outageTime: long enough that most
	// requests of ten seconds fail and the circuit breaker opens.
	outageInterval, firstOutage, outageTime = 2 * time.Minute, 25 * time.Second, 8 * time.Second
	// resetInterval is between two resets, which take away the sessions whose making or deleting ended with an error.
	resetInterval = 30 * time.Second
)

// misbehave makes Seam fail at random until it is stopped.
func misbehave(t *testing.T, seam *seam, random *rand.Rand, stop <-chan struct{}) {
	outage, reset := time.NewTimer(firstOutage), time.NewTicker(resetInterval)
	defer outage.Stop()
	defer reset.Stop()
	for {
		select {
		case <-stop:
			return
		case <-reset.C:
			seam.reset(t)
		case <-outage.C:
			seam.clearFaults(t)
			seam.inject(t, sandbox.Fault{Status: http.StatusServiceUnavailable})
			select {
			case <-stop:
			case <-time.After(outageTime):
			}
			seam.clearFaults(t)
			outage.Reset(outageInterval)
		case <-time.After(time.Duration(random.Int64N(int64(2 * faultInterval)))):
			seam.inject(t, randomFault(random))
			time.Sleep(faultTime)
			seam.clearFaults(t)
		}
	}
}

// randomFault chooses a fault for a few requests, of any path.
func randomFault(random *rand.Rand) sandbox.Fault {
	const page = "<html><body><h1>Bad Gateway</h1></body></html>"
	few := 1 + random.IntN(8)
	upTo := func(most int) time.Duration { return time.Duration(1+random.IntN(most)) * time.Millisecond }
	if random.IntN(40) == 0 {
		return sandbox.Fault{Times: 1, Disconnect: "endless"} // Each is read up to the limit of a response, which is megabytes.
	}
	faults := []sandbox.Fault{
		{Times: few, Disconnect: "reset"},
		{Times: few, Disconnect: "truncate"},
		{Times: few, Status: http.StatusInternalServerError},
		{Times: few, Status: http.StatusBadGateway, Body: page, ContentType: "text/html"},
		{Times: few, Status: http.StatusServiceUnavailable},
		{Times: few, Status: http.StatusOK, Body: page, ContentType: "text/html"},
		{Times: few, RateLimit: true},
		{Times: few, RateLimit: true, RetryAfter: 1},
		{Times: few, Delay: upTo(200)},
		{Times: few, Delay: upTo(2000)},
		{Times: few, Delay: upTo(500), Disconnect: "reset"},
	}
	return faults[random.IntN(len(faults))]
}
