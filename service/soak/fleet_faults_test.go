//go:build fleet

package soak_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestFleetKilledReplica shows that when a replica is killed, nothing is lost but calls that were in flight on it and may
// not be sent twice, and that these end with a code that clients do not retry.
func TestFleetKilledReplica(t *testing.T) {
	f := startFleet(t)
	began := time.Now()
	stop := f.load(fleetDeadline)
	time.Sleep(2 * time.Second)
	var all []outage
	for _, address := range f.running() {
		o := outage{replica: address, began: time.Now()}
		f.kill(address)
		o.known = time.Now()
		o.out = f.envoy.await(t, f.running()...)
		time.Sleep(2 * time.Second)
		f.startAt(address)
		o.back = f.envoy.await(t, f.running()...)
		all = append(all, o)
	}
	time.Sleep(time.Second)
	calls := stop()
	f.checkLost(calls, f.report(calls, began), all...)
}

// TestFleetOnePort shows the same of gRPC on the port of REST.
func TestFleetOnePort(t *testing.T) {
	f := startFleet(t)
	port := net.JoinHostPort("127.0.0.1", f.ports[envoyREST])
	f.clients = newCaller(t, servicetest.Addresses{GRPC: port, HTTP: port}, 4, grpc.WithDisableRetry())
	began := time.Now()
	stop := f.load(fleetDeadline)
	time.Sleep(2 * time.Second)
	o := outage{replica: replica(1), began: time.Now()}
	f.kill(replica(1))
	o.known = time.Now()
	o.out = f.envoy.await(t, f.running()...)
	time.Sleep(time.Second)
	calls := stop()
	if len(calls.that(over(faceGRPC), safe, ok)) == 0 {
		t.Error("no call over gRPC succeeds")
	}
	f.checkLost(calls, f.report(calls, began), o)
}

// outage is a time in which a replica was lost. Once it is known, no call may go there any more; out and back are how long
// it took Envoy to take the replica out and to take it in again.
type outage struct {
	replica      string
	began, known time.Time
	out, back    time.Duration
}

// checkLost checks that only writes that may not be sent twice are lost, that they end as unknown, and that they were in
// flight on a replica when it was lost.
func (f *fleet) checkLost(calls *tally, lines []forwarded, all ...outage) {
	f.t.Helper()
	unknown := map[string]string{faceGRPC: "Unknown", faceREST: "424"}
	if lost := calls.that(safe, not(ok)); len(lost) > 0 {
		f.t.Errorf("%d calls that may be sent twice are lost, such as:\n%s", len(lost), lost.examples())
	}
	var inFlight int
	var lost tallied
	for _, o := range all {
		// The access log has milliseconds.
		there := func(began, ended time.Time) bool {
			return began.Before(o.known) && ended.After(o.began.Truncate(time.Millisecond))
		}
		n := 0
		for _, line := range lines {
			if line.lost() && there(line.Start, line.ended()) {
				n++
			}
		}
		writes := calls.that(not(safe), not(ok), func(r record) bool {
			return r.reply.outcome == unknown[r.face] && there(r.issued, r.issued.Add(r.took))
		})
		f.t.Logf("%s: Envoy took it out after %s, and took it in %s after its return; of %d calls in flight on it %d are lost",
			o.replica, milliseconds(o.out), milliseconds(o.back), n, len(writes))
		inFlight, lost = inFlight+n, append(lost, writes...)
	}
	if other := len(calls.that(not(safe), not(ok))) - len(lost); other != 0 {
		f.t.Errorf("%d writes are lost that were not in flight on the replica, or that do not end as unknown, such as:\n%s",
			other, calls.that(not(safe), not(ok)).examples())
	}
	if inFlight == 0 || len(lost) > inFlight {
		f.t.Errorf("%d calls are lost of %d that were in flight", len(lost), inFlight)
	}
}

// TestFleetCutOffReplica shows the same when the network of a replica drops all packets: its calls in flight wait until
// TCP gives up, and Envoy sends it no more calls until it is back.
func TestFleetCutOffReplica(t *testing.T) {
	f := startFleet(t)
	// Envoy reaches one replica through a network that can be cut.
	f.names.remove(replica(3))
	f.kill(replica(3))
	f.startAt(replica(13))
	n := &network{t: t}
	t.Cleanup(n.end)
	for _, port := range []string{replicaGRPC, replicaREST, replicaAdmin} {
		n.connect(net.JoinHostPort(replica(3), f.ports[port]), net.JoinHostPort(replica(13), f.ports[port]))
	}
	f.names.add(replica(3))
	f.envoy.await(t, replica(1), replica(2), replica(3))

	began := time.Now()
	stop := f.load(fleetDeadline)
	time.Sleep(3 * time.Second)
	o := outage{replica: replica(3), began: time.Now()}
	n.cut()
	o.out = f.envoy.await(t, replica(1), replica(2))
	o.known = time.Now()
	time.Sleep(8 * time.Second)
	n.mend()
	o.back = f.envoy.await(t, replica(1), replica(2), replica(3))
	mended := time.Now()
	time.Sleep(2 * time.Second)
	calls := stop()
	lines := f.report(calls, began)
	f.checkLost(calls, lines, o)
	if !slices.ContainsFunc(lines, func(l forwarded) bool { return l.at(replica(3)) && l.Start.After(mended) && !l.lost() }) {
		t.Error("the replica gets no calls when it is back")
	}
}

// TestFleetHungSeam shows what callers get while Seam takes requests and does not respond: every call ends in time, after
// some seconds nearly all end at once, and no replica is taken out for it. When Seam responds again, so does the fleet.
func TestFleetHungSeam(t *testing.T) {
	const (
		hang        = 20 * time.Second
		restTimeout = 30 * time.Second // --default-timeout
		grace       = 5 * time.Second
		recovery    = 15 * time.Second
	)
	f := startFleet(t)
	began := time.Now()
	stop := f.load(restTimeout + grace)
	time.Sleep(3 * time.Second)
	f.seam.clearFaults(t)
	f.seam.inject(t, sandbox.Fault{Delay: time.Hour})
	hung := time.Now()
	open := map[string]time.Duration{}
	looks, out := 0, 0
	for ; time.Since(hung) < hang; time.Sleep(200 * time.Millisecond) {
		looks++
		if len(f.envoy.healthy(t)) != len(f.replicas) {
			out++
		}
		for address, p := range f.replicas {
			cutOff := p.Metric("client_session_service_upstream_callers_cut_off")
			if _, known := open[address]; cutOff > 0 && !known {
				open[address] = time.Since(hung).Round(time.Millisecond)
			}
		}
	}
	f.seam.clearFaults(t)
	f.seam.inject(t, sandbox.Fault{Delay: fleetSeamDelay})
	mended := time.Now()
	time.Sleep(recovery + 2*time.Second)
	calls := stop()
	last := mended
	for _, r := range calls.that(not(ok)) {
		if r.issued.After(last) {
			last = r.issued
		}
	}
	t.Logf("the circuit breakers opened after %v; the last call that failed began %s after the end", open,
		milliseconds(last.Sub(mended)))
	lines := f.report(calls, began)
	// A machine that has no time for a health check takes a replica out for a moment.
	if out > looks/10 {
		t.Errorf("a replica was out %d of %d times", out, looks)
	}
	if len(open) != len(f.names.addresses) {
		t.Errorf("the circuit breaker opened at %v only", open)
	}
	if last.Sub(mended) > recovery {
		t.Errorf("calls still fail %s after the end, such as:\n%s", recovery,
			calls.that(not(ok), func(r record) bool { return r.issued.Sub(mended) > recovery }).examples())
	}
	late := calls.that(func(r record) bool {
		return r.took > map[string]time.Duration{faceGRPC: fleetDeadline, faceREST: restTimeout}[r.face]+grace
	})
	if len(late) > 0 {
		t.Errorf("%d calls took longer than their deadline, such as:\n%s", len(late), late.examples())
	}
	// A code that makes clients send a write twice, and what Envoy says in place of the service. When the service is late for
	// the deadline of a call it resets the stream, and Envoy says that the outcome is unknown.
	wrong := calls.that(not(ok), func(r record) bool {
		why := r.reply.why()
		retried := r.reply.outcome == "Unavailable" || r.reply.outcome == "503" || r.reply.outcome == "504"
		return strings.HasPrefix(why, "envoy") && (safe(r) || r.reply.outcome != codes.Unknown.String()) ||
			!safe(r) && retried && why != "upstream_circuit_open" && why != "overloaded"
	})
	if len(wrong) > 0 {
		t.Errorf("%d calls end with what is not for them, such as:\n%s", len(wrong), wrong.examples())
	}
	retried := 0
	for _, line := range lines {
		if line.Attempts > 1 {
			retried++
		}
	}
	if retried > len(lines)/100 {
		t.Errorf("Envoy sends %d of %d calls again while Seam hangs", retried, len(lines))
	}
}
