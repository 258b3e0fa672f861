package seam_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestStrayResponse shows that what a peer sends after a response is no response to another request. Over HTTP/1.1 that
// holds for what arrives with the response. What arrives later, on an idle connection, races with the next request: see
// docs/reliability.md.
func TestStrayResponse(t *testing.T) {
	const stray = `{"ok":true,"stray":true}`
	var requests atomic.Int32
	for name, fault := range map[string]seamtest.Fault{
		overHTTP1: {TLS: true, Request: func(conn net.Conn) seamtest.Then {
			text := seamtest.Response("200 OK", seamtest.Success)
			if requests.Add(1) == 1 {
				text += seamtest.Response("200 OK", stray)
			}
			_, _ = io.WriteString(conn, text)
			return seamtest.KeepOpen
		}},
		overHTTP2: {TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
			s.Respond(seamtest.Success)
			return s.Respond(stray)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, seamtest.New(t, fault).URL)
			for range 3 {
				response, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
				if err != nil || response.Attempts != 1 || strings.Contains(string(response.Body), "stray") {
					t.Errorf("response %+v; error %v", response, err)
				}
			}
		})
	}
}

// TestClosedIdleConnection shows that an idle connection which the peer has closed fails no call, and that it is closed
// here too although no call needs it.
func TestClosedIdleConnection(t *testing.T) {
	u := seamtest.New(t, seamtest.Fault{
		TLS: true, Request: seamtest.Say(seamtest.Response("200 OK", seamtest.Success), seamtest.Close),
	})
	registry := prometheus.NewRegistry()
	client := newClient(t, u.URL, reportingTo(registry))
	for range 20 { // A write that is not idempotent is not retried once it was sent.
		if _, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create()}); err != nil {
			t.Fatalf("%v, cause %v", err, err.Cause)
		}
		time.Sleep(5 * time.Millisecond) // In which the end of the connection arrives.
	}
	seamtest.Eventually(t, "the connection to be closed", func() bool { return metric(t, registry, "connections_open") == 0 })
}

// TestConnectionOutlivesDeadline shows that the deadline of a call does not end with it the connection that it used.
func TestConnectionOutlivesDeadline(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, over string) {
		t.Helper()
		u := serveOver(t, over, responding(200, seamtest.Success))
		client := newClient(t, u.URL)
		for range 2 {
			deadline := time.Now().Add(time.Second)
			ctx, cancel := context.WithDeadline(t.Context(), deadline)
			if _, _, err := grant(ctx, t, client); err != nil {
				t.Error(err, err.Cause)
			}
			cancel()
			time.Sleep(time.Until(deadline) + 10*time.Millisecond)
		}
		if n := u.connections.Load(); n != 1 {
			t.Errorf("%d connections for two calls", n)
		}
	})
}

// TestAnnouncedLength shows that the memory for a response grows with what arrives, whatever length was announced.
func TestAnnouncedLength(t *testing.T) {
	overBoth(t, func(t *testing.T, over string) {
		t.Helper()
		client := newClient(t, serveOver(t, over, responding(200, "{", "content-length", "8000000")).URL)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := grantOnce(t.Context(), t, client)
		runtime.ReadMemStats(&after)
		wantError(t, err, "upstream_response_invalid", codes.Internal)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4_000_000 { // The handshake takes most of it.
			t.Errorf("the call allocated %d bytes", allocated)
		}
	})
}

// TestEarlyResponseToLongRequest shows that a response which comes before the request was read is not lost.
func TestEarlyResponseToLongRequest(t *testing.T) {
	in := &grantRequest{}
	for range 200_000 { // More than any buffer of a kernel holds.
		in.ConnectWebviewIds = append(in.ConnectWebviewIds, strings.Repeat("a", 36))
	}
	overBoth(t, func(t *testing.T, over string) {
		t.Helper()
		u := serveOver(t, over, responding(http.StatusRequestEntityTooLarge, "too long"))
		response, err := newClient(t, u.URL).Do(t.Context(), &seam.Call{
			Endpoint: seam.Create(), Header: authorized(), In: in, Out: &clientsessionv1.CreateResponse{},
		})
		if response.HTTPStatus != http.StatusRequestEntityTooLarge {
			t.Errorf("response %+v, error %v", response, err)
		}
	})
}
