package server_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/config"
)

// fault is one thing that can happen between the service and Seam. Each lives once, and is played over both faces
// against calls of each kind.
type fault struct {
	name string
	// timeout is the service's default deadline, 10 seconds if zero.
	timeout time.Duration

	// Where the fault happens, one of these: nobody listens, names are not resolved, a connection is opened, an HTTP/1.1
	// request has been read, an HTTP/2 request has been read. The last two say whether the connection lives on.
	down    bool
	resolve resolution
	accept  func(*faultyUpstream, net.Conn)
	request func(*faultyUpstream, net.Conn) bool
	stream  func(*h2Seam, uint32) bool
	// tls is true when the upstream speaks TLS.
	tls bool

	// How the calls end: one that reads, a write that can be retried, and a write that must not be.
	read, write, once end
	// dials is how many connections the calls make, where that matters.
	dials int
	// inTurn is true where the calls would disturb each other: those that share a connection end with it.
	inTurn bool
	// lingers is true where something may be left until the service's own limit of 5 seconds for a handshake.
	lingers bool
}

// end is how a call ends.
type end struct {
	code      codes.Code
	status    int
	errorType string
	// unknown is true when the caller is told that the request may have been carried out.
	unknown bool
	// requests is how many requests reach the upstream.
	requests int
	// retryAfter is what Retry-After and RetryInfo say, none if empty.
	retryAfter string
	// late is true when the call ends at its deadline and not before.
	late bool
}

// slack is how much later than it must a call may end on a machine that is busy with other things. It is less than the
// 5 seconds that the service gives any attempt, so that a call that ends by that is not taken for one that is late.
const slack = 4 * time.Second

// TestUpstreamFaults plays every fault. A call ends as it should and in time, the upstream sees as many requests as it
// should, calls succeed again at once when the fault is over, and nothing is left of it: no goroutine, no file, no
// panic and no secret in any response or log.
func TestUpstreamFaults(t *testing.T) {
	stderr := captureStderr(t)
	for _, f := range faults() {
		t.Run(f.name, f.play)
	}
	noSecrets(t, "stderr", stderr())
}

// side is a service with an upstream of its own, called over one face. The faces are played at the same time, which
// saves half of it.
type side struct {
	*harness

	face string
	seam *faultyUpstream
	call func(*harness, kind) (end, string)
}

func (f fault) sides(t *testing.T) []side {
	t.Helper()
	sides := []side{{face: "grpc", call: (*harness).endOverGRPC}, {face: "rest", call: (*harness).endOverREST}}
	for i := range sides {
		seam := newFaultyUpstream(t, f)
		if f.resolve != nil && i == 0 {
			resolveWith(t, seam)
		}
		h := start(t, seam.configure, func(cfg *config.Config) { cfg.DefaultTimeout = f.timeout })
		h.http.Timeout = f.timeout + 10*time.Second // A call without an end fails, and the other rows are still played.
		sides[i].seam, sides[i].harness = seam, h
	}
	return sides
}

func (f fault) play(t *testing.T) {
	if f.timeout == 0 {
		f.timeout = 10 * time.Second
	}
	sides := f.sides(t)
	each := func(do func(side)) {
		for _, s := range sides {
			do(s)
		}
	}
	// Nothing but the services themselves is left in use when it is measured.
	quiet := func(s side) {
		s.seam.hangUp()
		s.http.CloseIdleConnections()
	}
	each(side.good)
	each(quiet)
	before := settled(t)
	each(side.good) // So that the fault meets a connection that was kept.
	each(func(s side) { s.seam.fail() })
	var calls sync.WaitGroup
	each(func(s side) { f.calls(s, &calls) })
	calls.Wait()
	each(func(s side) {
		if dials := s.seam.connections(); f.dials != 0 && dials != f.dials {
			t.Errorf("%s: %d connections, want %d", s.face, dials, f.dials)
		}
		s.seam.heal()
	})
	each(side.good)
	within := 3 * time.Second
	if f.lingers {
		within += 5 * time.Second
	}
	each(func(s side) {
		eventually(t, within, "the service leaves what does not answer", func() bool { return s.seam.playing.Load() == 0 })
	})
	each(quiet)
	before.restored(t)
	each(func(s side) {
		if _, text := s.admin("/metrics"); !strings.Contains(text, "client_session_service_panics_total 0") {
			t.Errorf("%s: something panicked", s.face)
		}
		if len(s.sandbox.Requests()) > 0 {
			t.Errorf("%s: a request went to an upstream of another name", s.face)
		}
		if f.accept != nil && f.tls {
			// Whoever did not prove to be Seam heard nothing, and to the others it was told under TLS.
			noSecrets(t, "what came in", s.seam.heard())
		}
		noSecrets(t, "the log", s.log.String())
	})
}

// calls begins a call of each kind.
func (f fault) calls(s side, calls *sync.WaitGroup) {
	all := make([]func(), 0, len(kinds()))
	for _, k := range kinds() {
		all = append(all, func() {
			began := time.Now()
			got, text := s.call(s.harness, k)
			f.check(s, k, got, time.Since(began), text)
		})
	}
	if f.inTurn {
		calls.Go(func() {
			for _, call := range all {
				call()
			}
		})
		return
	}
	for _, call := range all {
		calls.Go(call)
	}
}

// good makes a call of each kind, which must succeed at once.
func (s side) good() {
	s.t.Helper()
	for _, k := range kinds() {
		if got, text := s.call(s.harness, k); got.code != codes.OK || got.status != http.StatusOK {
			s.t.Errorf("%s: %s while all is well: %+v %s", s.face, k.name, got, text)
		}
	}
}

// check compares how a call ended with how it should have.
func (f fault) check(s side, k kind, got end, took time.Duration, text string) {
	s.t.Helper()
	name := s.face + ", " + k.name
	got.requests, got.late = s.seam.requests(k.path), took >= f.timeout-20*time.Millisecond
	s.t.Logf("%s: %s in %d ms, %d requests", name, got.summary(), took.Milliseconds(), got.requests)
	want := k.end(f)
	if s.face == "rest" {
		want.code = codes.OK // There is none.
		// A response of Seam's own goes out as it is.
		want.unknown = want.unknown && strings.HasPrefix(want.errorType, "upstream_")
	}
	if got != want {
		s.t.Errorf("%s:\ngot  %+v\nwant %+v\n%s", name, got, want, text)
	}
	if want.late && took > f.timeout+slack || !want.late && took > slack {
		s.t.Errorf("%s: it took %s", name, took)
	}
	noSecrets(s.t, "the answer", text)
}

func (e end) summary() string {
	text := fmt.Sprint(e.status, " ", e.errorType)
	if e.code != codes.OK {
		text = e.code.String() + " " + text
	}
	if e.unknown {
		text += " (outcome unknown)"
	}
	if e.retryAfter != "" {
		text += " retry after " + e.retryAfter
	}
	return text
}

func noSecrets(t *testing.T, where, text string) {
	t.Helper()
	for _, secret := range secrets() {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s holds the secret %s: ...%s", where, secret, text[max(0, at-200):min(len(text), at+100)])
		}
	}
}
