package seam_test

import (
	"bufio"
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

// raw is an upstream that has each of its connections played by a function, with the number of the connection.
func raw(t *testing.T, play func(conn net.Conn, requests *bufio.Reader, number int32)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		var number atomic.Int32
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				play(conn, bufio.NewReader(conn), number.Add(1))
			}()
		}
	}()
	return "http://" + listener.Addr().String()
}

// request reads a request with its body. It is false at the end of the connection.
func request(requests *bufio.Reader) bool {
	r, err := http.ReadRequest(requests)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	return err == nil
}

// TestStrayResponse shows that what a peer sends with a response is no response to the next request.
func TestStrayResponse(t *testing.T) {
	const stray = `{"ok":true,"stray":true}`
	url := raw(t, func(conn net.Conn, requests *bufio.Reader, number int32) {
		for first := number == 1; request(requests); first = false {
			text := seamtest.Response("200 OK", seamtest.Success)
			if first {
				text += seamtest.Response("200 OK", stray)
			}
			_, _ = io.WriteString(conn, text)
		}
	})
	client := newClient(t, url)
	for range 3 {
		response, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create()})
		if err != nil || response.Attempts != 1 || strings.Contains(string(response.Body), "stray") {
			t.Errorf("response %+v; error %v", response, err)
		}
	}
}

// TestClosedIdleConnection shows that an idle connection which the peer has closed fails no call, and that it is closed
// here too although no call needs it.
func TestClosedIdleConnection(t *testing.T) {
	url := raw(t, func(conn net.Conn, requests *bufio.Reader, _ int32) {
		if request(requests) {
			_, _ = io.WriteString(conn, seamtest.Response("200 OK", seamtest.Success))
		}
	})
	registry := prometheus.NewRegistry()
	client := newClient(t, url, reportingTo(registry))
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
	u := serve(t, responding(200, seamtest.Success))
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
}

// TestAnnouncedLength shows that the memory for a response grows with what arrives, whatever length was announced.
func TestAnnouncedLength(t *testing.T) {
	url := raw(t, func(conn net.Conn, requests *bufio.Reader, _ int32) {
		if request(requests) {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n{")
		}
	})
	client := newClient(t, url)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := grantOnce(t.Context(), t, client)
	runtime.ReadMemStats(&after)
	wantError(t, err, "upstream_response_invalid", codes.Internal)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1_000_000 {
		t.Errorf("the call allocated %d bytes", allocated)
	}
}

// TestEarlyResponseToLongRequest shows that a response which comes before the request was read is not lost, and that
// the peer need not read the rest.
func TestEarlyResponseToLongRequest(t *testing.T) {
	ended := make(chan struct{})
	url := raw(t, func(conn net.Conn, requests *bufio.Reader, _ int32) {
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := http.ReadRequest(requests); err == nil {
			_, _ = io.WriteString(conn, seamtest.Response("413 Content Too Large", "too long"))
		}
		<-ended
	})
	defer close(ended)
	in := &grantRequest{}
	for range 200_000 { // More than any buffer of a kernel holds.
		in.ConnectWebviewIds = append(in.ConnectWebviewIds, strings.Repeat("a", 36))
	}
	response, err := newClient(t, url).Do(t.Context(), seam.Call{
		Endpoint: seam.Create(), Header: authorized(), In: in, Out: &clientsessionv1.CreateResponse{},
	})
	if response.HTTPStatus != http.StatusRequestEntityTooLarge {
		t.Errorf("response %+v, error %v", response, err)
	}
}
