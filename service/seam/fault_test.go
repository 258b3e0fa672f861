package seam_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// upstreamFault is one thing that an upstream does with a connection or a stream, and what becomes of a call of each
// semantics.
type upstreamFault struct {
	seamtest.Fault

	name string
	want [3]result
	// noAddress is what the name server says in place of the upstream's address.
	noAddress dnsmessage.RCode
	// timeout is the deadline of the calls, which they have to end at. Without one they have to end by themselves.
	timeout time.Duration
}

// overProtocols is a response over HTTP/1.1 and over HTTP/2, to calls that end in the same way.
func overProtocols(name string, r seamtest.Reply, ends func(*upstreamFault)) []upstreamFault {
	faults := []upstreamFault{
		{name: overHTTP1 + ", " + name, Fault: seamtest.Fault{Request: r.OverHTTP1}},
		{name: overHTTP2 + ", " + name, Fault: seamtest.Fault{Stream: r.OverHTTP2}},
	}
	for i := range faults {
		ends(&faults[i])
	}
	return faults
}

// timesOut: the response does not come before the deadline, which leaves no time for a second request.
func timesOut(f *upstreamFault) {
	f.timeout = 1500 * time.Millisecond
	f.want = [3]result{
		{1, codes.DeadlineExceeded, 424, true, true},
		{1, codes.DeadlineExceeded, 504, true, false},
		{1, codes.DeadlineExceeded, 504, false, false},
	}
}

func isLost(f *upstreamFault) {
	f.want = ambiguous(codes.Unavailable, 503, result{code: codes.Unknown, status: 424})
}

func isMalformed(f *upstreamFault) {
	f.want = ambiguous(codes.Internal, 502, result{code: codes.Internal, status: 424})
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
			_, _ = io.WriteString(conn, seamtest.Response("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n"))
		}),
		play("TLS port closes at once", func(*seamtest.Upstream, net.Conn) {}),
	}
	for i := range neverSent {
		neverSent[i].want = same(result{3, codes.Unavailable, 503, false, true})
	}
	handshake, unread := play("TLS handshake hangs", seamtest.HangOn), play("does not read", func(u *seamtest.Upstream, conn net.Conn) {
		if _, err := u.Secure(conn); err == nil {
			<-u.Healed()
			seamtest.HangOn(u, conn)
		}
	})
	timesOut(&handshake)
	timesOut(&unread)
	handshake.want = same(result{1, codes.DeadlineExceeded, 504, false, false}) // Nothing was sent.
	return append([]upstreamFault{handshake, unread}, neverSent...)
}

// responseFaults come with a response or in place of it.
func responseFaults() []upstreamFault {
	slow := strings.Repeat("x", 1000)
	ofLength := func(length string) seamtest.Reply {
		return seamtest.Reply{Status: 200, Header: http.Header{"Content-Length": {length}}, Body: seamtest.Success}
	}
	short, shortAndClosed := ofLength("30"), ofLength("30")
	shortAndClosed.Then = seamtest.Close // Over HTTP/1.1 what is left of the body would be the next response.
	long := overProtocols("Content-Length too long", ofLength("3000"), timesOut)
	long[1].timeout = 0
	isMalformed(&long[1]) // The stream ends, where a connection is waited for.
	return slices.Concat(
		overProtocols("no response", seamtest.Reply{Then: seamtest.Hang}, timesOut),
		overProtocols("half a response", seamtest.Reply{Status: 200, Body: `{"ok":`, Then: seamtest.Hang}, timesOut),
		overProtocols("headers byte by byte", seamtest.Reply{Status: 200, SlowHead: true, Header: http.Header{"Server": {slow}}}, timesOut),
		overProtocols("body byte by byte", seamtest.Reply{Status: 200, SlowBody: true, Body: slow}, timesOut),
		overProtocols("slow storm of 103", seamtest.Reply{Interim: 103, Interims: 1000, SlowHead: true}, timesOut),
		long,
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
	client := newClient(t, "https://"+host+":"+at.Port())
	good := func() {
		t.Helper()
		for _, at := range []seam.Endpoint{seam.Create(), seam.GrantAccess(), seam.Get()} {
			if _, _, err := send(t.Context(), t, client, seam.Call{Endpoint: at}); err != nil {
				t.Errorf("%s while all is well: %v, cause %v", at.Path, err, err.Cause)
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
	for i, at := range []seam.Endpoint{nonIdempotent: seam.Create(), idempotent: seam.GrantAccess(), safe: seam.Get()} {
		calls.Go(func() { f.check(t, client, at, f.want[i]) })
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

// check makes a call and compares how it ends, and when.
func (f upstreamFault) check(t *testing.T, client *seam.Client, at seam.Endpoint, want result) {
	t.Helper()
	const slack = 15 * time.Second // On a machine that is busy with other things.
	timeout := 40 * time.Second    // Of which an attempt may take half, which is more than the slack.
	if f.timeout != 0 {
		timeout = f.timeout
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	began := time.Now()
	response, _, err := send(ctx, t, client, seam.Call{Endpoint: at})
	took := time.Since(began)
	if err == nil {
		t.Errorf("%s succeeds", at.Path)
		return
	}
	if got := (result{response.Attempts, err.GRPCCode(), err.HTTPStatus, err.OutcomeUnknown, err.NoRetry}); got != want {
		t.Errorf("%s ends as %+v, want %+v (cause %v)", at.Path, got, want, err.Cause)
	}
	if f.timeout != 0 && took < timeout-20*time.Millisecond || took > f.timeout+slack {
		t.Errorf("%s took %s", at.Path, took)
	}
}
