package seam_test

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// upstreamFault is one thing that an upstream does with a connection or a stream, and what becomes of the calls.
type upstreamFault struct {
	seamtest.Fault

	name string
	// once is the end of a write that is not idempotent, again that of an idempotent one, and read that of a safe call.
	once, again, read ending
	// noAddress is what the name server says in place of the upstream's address.
	noAddress dnsmessage.RCode
	// timeout is the deadline of the calls, 40 seconds if zero. Where it is late, they end by it.
	timeout time.Duration
	late    bool
}

// ending is what becomes of a call.
type ending struct {
	attempts int
	code     codes.Code
	status   int
	// unknown and noRetry are OutcomeUnknown and NoRetry of the error.
	unknown, noRetry bool
}

// endsAs has all calls end in the same way.
func endsAs(f *upstreamFault, e ending) { f.once, f.again, f.read = e, e, e }

// overProtocols is a response over HTTP/1.1 and over HTTP/2, to calls that end in the same way.
func overProtocols(name string, r seamtest.Reply, ends func(*upstreamFault)) []upstreamFault {
	faults := []upstreamFault{
		{name: "HTTP/1.1, " + name, Fault: seamtest.Fault{Request: r.OverHTTP1}},
		{name: "HTTP/2, " + name, Fault: seamtest.Fault{Stream: r.OverHTTP2}},
	}
	for i := range faults {
		ends(&faults[i])
	}
	return faults
}

// timesOut: the response does not come before the deadline, which leaves no time for a second request.
func timesOut(f *upstreamFault) {
	f.timeout, f.late = 1500*time.Millisecond, true
	f.once = ending{1, codes.DeadlineExceeded, 424, true, true}
	f.again = ending{1, codes.DeadlineExceeded, 504, true, false}
	f.read = ending{1, codes.DeadlineExceeded, 504, false, false}
}

// isLost: the request was sent and there is no response.
func isLost(f *upstreamFault) {
	f.once = ending{1, codes.Unknown, 424, true, true}
	f.again = ending{3, codes.Unavailable, 503, true, true}
	f.read = ending{3, codes.Unavailable, 503, false, true}
}

// isMalformed: the response is a 2xx that is truncated or malformed.
func isMalformed(f *upstreamFault) {
	f.once = ending{1, codes.Internal, 424, true, true}
	f.again = ending{3, codes.Internal, 502, true, true}
	f.read = ending{3, codes.Internal, 502, false, true}
}

// connectionFaults come before a response, and most of them before a request.
func connectionFaults() []upstreamFault {
	play := func(name string, accept func(*seamtest.Upstream, net.Conn)) upstreamFault {
		return upstreamFault{name: name, Fault: seamtest.Fault{Accept: accept}}
	}
	neverSent := []upstreamFault{
		{name: "no such host", noAddress: dnsmessage.RCodeNameError},
		{name: "name server fails", noAddress: dnsmessage.RCodeServerFailure},
		play("plain text on a TLS port", func(_ *seamtest.Upstream, conn net.Conn) {
			_, _ = io.WriteString(conn, seamtest.Response("400 Bad Request", "an HTTP request to an HTTPS server\n"))
		}),
		play("TLS port closes at once", func(*seamtest.Upstream, net.Conn) {}),
	}
	for i := range neverSent {
		endsAs(&neverSent[i], ending{3, codes.Unavailable, 503, false, true})
	}
	handshake := play("TLS handshake hangs", seamtest.HangOn)
	unread := play("does not read", func(u *seamtest.Upstream, conn net.Conn) {
		if _, err := u.Secure(conn); err == nil {
			<-u.Healed()
			seamtest.HangOn(u, conn)
		}
	})
	timesOut(&handshake)
	timesOut(&unread)
	endsAs(&handshake, ending{1, codes.DeadlineExceeded, 504, false, false}) // Nothing was sent.
	return append([]upstreamFault{handshake, unread}, neverSent...)
}

// responseFaults come with a response or in place of it.
func responseFaults() []upstreamFault {
	slow := strings.Repeat("x", 1000)
	slowHead := seamtest.Reply{Status: 200, SlowHead: true, Header: http.Header{"Server": {slow}}}
	ofLength := func(length string) seamtest.Reply {
		return seamtest.Reply{Status: 200, Header: http.Header{"Content-Length": {length}}, Body: seamtest.Success}
	}
	short, shortAndClosed := ofLength("30"), ofLength("30")
	shortAndClosed.Then = seamtest.Close // Over HTTP/1.1 what is left of the body would be the next response.
	long := overProtocols("Content-Length too long", ofLength("3000"), timesOut)
	long[1].timeout, long[1].late = 0, false
	isMalformed(&long[1]) // The stream ends, where a connection is waited for.
	// Two of three seconds have passed when the response comes, so that another attempt would only end in a timeout.
	noTime := upstreamFault{name: "503 that leaves no time for an attempt as long", timeout: 3 * time.Second}
	noTime.Request = func(conn net.Conn) seamtest.Then {
		time.Sleep(2 * time.Second)
		return seamtest.Say(seamtest.Response("503 Service Unavailable", ""), seamtest.KeepOpen)(conn)
	}
	noTime.once = ending{1, codes.Unknown, 503, true, true}
	noTime.again = ending{1, codes.Unavailable, 503, true, false}
	noTime.read = ending{1, codes.Unavailable, 503, false, false}
	return slices.Concat(
		overProtocols("no response", seamtest.Reply{Then: seamtest.Hang}, timesOut),
		overProtocols("half a response", seamtest.Reply{Status: 200, Body: `{"ok":`, Then: seamtest.Hang}, timesOut),
		overProtocols("headers byte by byte", slowHead, timesOut),
		overProtocols("body byte by byte", seamtest.Reply{Status: 200, SlowBody: true, Body: slow}, timesOut),
		overProtocols("slow storm of 103", seamtest.Reply{Interim: 103, Interims: 1000, SlowHead: true}, timesOut),
		long, []upstreamFault{noTime},
		overProtocols("storm of 103", seamtest.Reply{Interim: 103, Interims: 3000}, isLost),
		overProtocols("storm of 100", seamtest.Reply{Interim: 100, Interims: 3000}, isLost),
		overProtocols("closed in the headers", seamtest.Reply{Status: 200, CutHead: true, Then: seamtest.Close}, isLost),
		overProtocols("closed in the body", seamtest.Reply{Status: 200, Body: `{"ok":`, Then: seamtest.Close}, isMalformed),
		overProtocols("Content-Length too short", shortAndClosed, isMalformed)[:1],
		overProtocols("Content-Length too short", short, isMalformed)[1:],
	)
}

// TestUpstreamFaults shows that whatever an upstream does, a call ends as it should and in time, that calls succeed
// again at once when the fault is over, and that no connection is left of it. Which outcome is retried is the table of
// TestWhatIsRetried.
func TestUpstreamFaults(t *testing.T) {
	var mu sync.Mutex
	failures := map[string]dnsmessage.RCode{}
	seamtest.Resolve(t, func(name string) ([4]byte, dnsmessage.RCode) {
		mu.Lock()
		defer mu.Unlock()
		return [4]byte{127, 0, 0, 1}, failures[name]
	})
	lookUp := func(name string, code dnsmessage.RCode) {
		mu.Lock()
		defer mu.Unlock()
		failures[name] = code
	}
	t.Run("faults", func(t *testing.T) {
		for i, f := range slices.Concat(connectionFaults(), responseFaults()) {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				host := fmt.Sprintf("seam-%d.example.com", i) // The certificate has *.example.com.
				f.play(t, host, func(code dnsmessage.RCode) { lookUp(host+".", code) })
			})
		}
	})
}

func (f upstreamFault) play(t *testing.T, host string, lookUp func(dnsmessage.RCode)) {
	t.Helper()
	f.TLS = true
	u := seamtest.New(t, f.Fault)
	at, err := url.Parse(u.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := clientOf(t, &url.URL{Scheme: "https", Host: host + ":" + at.Port()})
	good := func() {
		t.Helper()
		for _, at := range []seam.Endpoint{seam.Create(), seam.GrantAccess(), seam.Get()} {
			if _, err := client.Do(t.Context(), smallest(at)); err != nil {
				t.Errorf("%s while all is well: %v", at.Path, err)
			}
		}
	}
	u.Heal()
	good() // So that the fault meets a connection that was kept.
	u.Break()
	if f.noAddress != 0 {
		u.Hangup()
		lookUp(f.noAddress)
	}
	var calls sync.WaitGroup
	for at, want := range map[seam.Endpoint]ending{
		seam.Create(): f.once, seam.GrantAccess(): f.again, seam.Get(): f.read,
	} {
		calls.Go(func() { f.check(t, client, at, want) })
		if f.timeout == 0 {
			calls.Wait() // Calls that share a connection would end with it together.
		}
	}
	calls.Wait()
	lookUp(dnsmessage.RCodeSuccess)
	u.Heal()
	good()
	u.Hangup() // It ends when the client has closed all of its connections too.
}

// clientOf returns a client that trusts the upstreams and lives as long as the test.
func clientOf(t *testing.T, endpoint *url.URL) *seam.Client {
	t.Helper()
	codec, err := seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto)
	if err != nil {
		t.Fatal(err)
	}
	path, err := seamtest.TrustFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	client := seam.New(seam.Config{
		Endpoint: endpoint, UserAgent: "test/1", Codec: codec, CAs: roots, MaxIdleConnections: 1024,
		Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	t.Cleanup(client.Close)
	return client
}

// smallest is the smallest call to an endpoint. What the messages hold does not matter to the client.
func smallest(at seam.Endpoint) *seam.Call {
	return &seam.Call{
		Endpoint: at, Header: http.Header{"Authorization": {"Bearer seam_apikey_0123456789"}},
		In: &clientsessionv1.GrantAccessRequest{}, Out: &clientsessionv1.GrantAccessResponse{},
	}
}

// check makes a call and compares how it ends, and when.
func (f upstreamFault) check(t *testing.T, client *seam.Client, at seam.Endpoint, want ending) {
	t.Helper()
	const slack = 15 * time.Second // On a machine that is busy with other things: less than an attempt of 40 s may take.
	timeout := cmp.Or(f.timeout, 40*time.Second)
	began := time.Now() // Before the deadline is set, else the call may seem to end too early.
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	response, err := client.Do(ctx, smallest(at))
	took := time.Since(began)
	e, ok := errors.AsType[*seamerr.Error](err)
	if !ok {
		t.Errorf("%s ends with %v", at.Path, err)
		return
	}
	if got := (ending{response.Attempts, e.GRPCCode(), e.HTTPStatus, e.OutcomeUnknown, e.NoRetry}); got != want {
		t.Errorf("%s ends as %+v, want %+v (cause %v)", at.Path, got, want, e.Cause)
	}
	if f.late && (took < timeout-20*time.Millisecond || took > timeout+slack) || !f.late && took > slack {
		t.Errorf("%s took %s", at.Path, took)
	}
}
