package server_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// fault is one thing that can happen between the service and Seam. Each lives once, and is played over both faces
// against calls of each kind.
type fault struct {
	seamtest.Fault

	name string
	// timeout is the service's default deadline, 40 seconds if zero.
	timeout time.Duration
	// noAddress is what the name server says in place of the upstream's address.
	noAddress dnsmessage.RCode

	// How the calls end: one that reads, a write that can be retried, and a write that must not be.
	read, write, once result
	// dials is how many connections the calls make, where that matters.
	dials int
	// inTurn is true where the calls would disturb each other: those that share a connection end with it.
	inTurn bool
}

// result is how a call ends.
type result struct {
	code      codes.Code
	status    int
	errorType string
	// unknown is true when the error says that the outcome is unknown.
	unknown bool
	// requests is how many requests reach the upstream.
	requests int
	// retryAfter is what Retry-After and RetryInfo say, none if empty.
	retryAfter string
	// late is true when the call ends at its deadline and not before.
	late bool
}

// slack is how much later than it must a call may end on a machine that is busy with other things. It is less than the
// half of a deadline of 40 seconds that one attempt may take, so that what ends by that is found out.
const slack = 15 * time.Second

// side is a service with an upstream of its own, called over one face.
type side struct {
	*harness
	fault

	face string
	seam *seamtest.Upstream
	call func(*harness, kind) (result, string)
}

// TestUpstreamFaults plays every fault. A call ends as it should and in time, the upstream sees as many requests as it
// should, calls succeed again at once when the fault is over, and nothing is left of it: no goroutine, no file, no
// panic and no secret in any response or log. All services live before the first fault and after the last one, so that
// what is in use then can be compared.
func TestUpstreamFaults(t *testing.T) {
	stderr := captureStderr(t)
	var mu sync.Mutex
	failures := map[string]dnsmessage.RCode{}
	seamtest.Resolve(t, func(name string) ([4]byte, dnsmessage.RCode) {
		mu.Lock()
		defer mu.Unlock()
		return [4]byte{127, 0, 0, 1}, failures[name]
	})
	var sides []*side
	for _, f := range faults(t) {
		for face, call := range map[string]func(*harness, kind) (result, string){
			"grpc": (*harness).callGRPC, "rest": (*harness).callREST,
		} {
			sides = append(sides, f.start(t, face, call))
		}
	}
	inParallel := func(name string, play func(*side, *testing.T)) {
		t.Run(name, func(t *testing.T) {
			for _, s := range sides {
				t.Run(s.name+"/"+s.face, func(t *testing.T) {
					t.Parallel()
					s.t = t
					play(s, t)
				})
			}
		})
	}
	inParallel("before", func(s *side, _ *testing.T) { s.good(); s.hangup() })
	before := settled(t)
	inParallel("faults", func(s *side, t *testing.T) {
		t.Helper()
		s.good() // So that the fault meets a connection that was kept.
		s.seam.Break()
		mu.Lock()
		failures[s.hostname()] = s.noAddress
		mu.Unlock()
		s.play(t)
		mu.Lock()
		delete(failures, s.hostname())
		mu.Unlock()
		s.seam.Heal()
		s.good()
		seamtest.Eventually(t, "the service to close what does not respond", func() bool { return s.seam.Playing.Load() == 0 })
		s.inspect(t)
		s.hangup()
	})
	before.restored(t)
	noSecrets(t, "stderr", stderr())
}

// hostname is the one by which the service finds an upstream that has a name.
func (s *side) hostname() string {
	return strings.ReplaceAll(s.name, " ", "-") + "-" + s.face + ".example.com." // The certificate has *.example.com.
}

func (f fault) start(t *testing.T, face string, call func(*harness, kind) (result, string)) *side {
	t.Helper()
	if f.timeout == 0 {
		f.timeout = 40 * time.Second
	}
	s := &side{fault: f, face: face, call: call, seam: startUpstream(t, f.Fault)}
	s.harness = start(t, pointAt(t, s.seam), func(cfg *config.Config) {
		cfg.DefaultTimeout, cfg.MaxResponseMiB = f.timeout, 1
		if f.noAddress != 0 {
			_, port, _ := net.SplitHostPort(cfg.SeamEndpoint.Host)
			cfg.SeamEndpoint = &url.URL{Scheme: "https", Host: strings.TrimSuffix(s.hostname(), ".") + ":" + port}
		}
	})
	s.http.Timeout = f.timeout + 10*time.Second // A call without an end fails, and the other rows are still played.
	return s
}

// pointAt has the service ask an upstream.
func pointAt(t *testing.T, u *seamtest.Upstream) func(*config.Config) {
	t.Helper()
	roots, err := seamtest.TrustFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return func(cfg *config.Config) { cfg.SeamEndpoint, cfg.SeamCAFile = parseURL(t, u.URL), roots }
}

// hangup closes all but the service itself.
func (s *side) hangup() {
	s.seam.Hangup()
	s.http.CloseIdleConnections()
}

// play makes a call of each kind.
func (s *side) play(t *testing.T) {
	t.Helper()
	var calls sync.WaitGroup
	for _, k := range kinds() {
		calls.Go(func() {
			began := time.Now()
			got, text := s.call(s.harness, k)
			s.check(k, got, time.Since(began), text)
		})
		if s.inTurn {
			calls.Wait()
		}
	}
	calls.Wait()
	if dials := int(s.seam.Connections.Load()); s.dials != 0 && dials != s.dials {
		t.Errorf("%d connections, want %d", dials, s.dials)
	}
}

// inspect looks at what the service logged and counted when the fault is over.
func (s *side) inspect(t *testing.T) {
	t.Helper()
	if _, text := s.admin("/metrics"); !strings.Contains(text, "client_session_service_panics_total 0") {
		t.Error("something panicked")
	}
	if len(s.sandbox.Requests()) > 0 {
		t.Error("a request went to an upstream of another name")
	}
	// An upstream without a valid certificate received nothing, and the others received it over TLS.
	noSecrets(t, "what came in", s.seam.Heard())
	noSecrets(t, "the log", s.log.String())
}

// good makes a call of each kind, which must succeed at once.
func (s *side) good() {
	s.t.Helper()
	for _, k := range kinds() {
		if got, text := s.call(s.harness, k); got.code != codes.OK || got.status != http.StatusOK {
			s.t.Errorf("%s while all is well: %+v %s", k.name, got, text)
		}
	}
}

// check compares how a call ended with how it should have.
func (s *side) check(k kind, got result, took time.Duration, text string) {
	s.t.Helper()
	got.requests, got.late = s.seam.RequestsTo(k.path), took >= s.timeout-20*time.Millisecond
	s.t.Logf("%s: %s in %d ms, %d requests", k.name, got.summary(), took.Milliseconds(), got.requests)
	want := k.want(s.fault)
	if s.face == "rest" {
		want.code = codes.OK // There is none.
		// A response of Seam's own goes out as it is.
		want.unknown = want.unknown && strings.HasPrefix(want.errorType, "upstream_")
	}
	if got != want {
		s.t.Errorf("%s:\ngot  %+v\nwant %+v\n%s", k.name, got, want, text)
	}
	if want.late && took > s.timeout+slack || !want.late && took > slack {
		s.t.Errorf("%s: it took %s", k.name, took)
	}
	noSecrets(s.t, "the response", text)
}

func (e result) summary() string {
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
