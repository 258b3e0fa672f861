package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// asSandbox is the header of a caller in bytes.
const asSandbox = "Authorization: Bearer " + sandbox.APIKey

// TestSlowCaller shows that a caller may take its time for its request, and that others do not wait for it.
func TestSlowCaller(t *testing.T) {
	h := start(t)
	slow := dial(t, h.at.HTTP)
	defer slow.Close()
	text := post(byID, asSandbox)
	for i := range len(text) {
		if _, err := io.WriteString(slow, text[i:i+1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) // It is what is tested, and not there to wait for something.
		if i == len(text)-1 {
			break
		}
		if i%50 == 0 {
			if got := h.send(http.MethodGet, "/client_sessions/get?client_session_id="+sandbox.SessionID, ""); got.status != http.StatusOK {
				t.Fatalf("another caller gets %d %s", got.status, got.text)
			}
		}
		for _, request := range h.sandbox.Requests() {
			if request.Path == grantPath {
				t.Fatalf("Seam was asked when %d of %d bytes had come", i+1, len(text))
			}
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(slow), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the slow caller gets %s", response.Status)
	}
}

// TestSlowReader shows that a caller that does not read its response does not delay the others, and that it still gets
// all of it.
func TestSlowReader(t *testing.T) {
	h := start(t)
	slow, reader, sessions := h.longList()
	defer slow.Close()
	for range 20 {
		if got := h.grant(byID); got.status != http.StatusOK {
			t.Fatalf("another caller gets %d %s", got.status, got.text)
		}
		if _, err := h.client().GrantAccess(authorized(t), grantByID()); err != nil {
			t.Fatalf("another caller gets %v", err)
		}
	}
	if err := slow.(*net.TCPConn).SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if got := strings.Count(string(text), sandbox.SessionID); err != nil || got != sessions {
		t.Errorf("the slow reader gets %d of %d sessions, %v", got, sessions, err)
	}
}

// TestUnreadResponse shows that a response which is not read holds the slot of its call until the deadline, and no
// longer.
func TestUnreadResponse(t *testing.T) {
	t.Parallel() // A response has 5 seconds at least.
	h := start(t, func(cfg *config.Config) { cfg.DefaultTimeout = 2 * time.Second })
	unread, _, _ := h.longList()
	defer unread.Close()
	inFlight := func(n string) func() bool {
		return func() bool {
			_, text := h.admin("/metrics")
			return strings.Contains(text, "\nclient_session_service_in_flight "+n+"\n")
		}
	}
	if !inFlight("1")() {
		t.Error("the call is over before its response is written")
	}
	seamtest.Eventually(t, "the call to end", inFlight("0"))
}

// longList asks for a list over REST and reads the beginning of the response, which is longer than what the kernel takes
// for a connection, so that the service has to wait.
func (h *harness) longList() (conn net.Conn, reader *bufio.Reader, sessions int) {
	h.t.Helper()
	sessions = 2000
	one := `{"client_session_id":"` + sandbox.SessionID + `","customer_key":"` + strings.Repeat("k", 3000) + `"}`
	err := h.sandbox.Inject(sandbox.Fault{
		Path: "/client_sessions/list", Status: http.StatusOK, ContentType: "application/json",
		Body: `{"client_sessions":[` + strings.Repeat(one+",", sessions-1) + one + `],"ok":true}`,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	conn = dial(h.t, h.at.HTTP)
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		h.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Replace(post(`{}`, asSandbox), grantPath, "/client_sessions/list", 1)); err != nil {
		h.t.Fatal(err)
	}
	reader = bufio.NewReader(conn)
	if _, err := reader.Peek(1); err != nil {
		h.t.Fatal(err)
	}
	return conn, reader, sessions
}

// TestCallerCancelsMidBody shows that nothing is asked of Seam for a caller that hangs up before its request is whole.
func TestCallerCancelsMidBody(t *testing.T) {
	h := start(t)
	for range 5 {
		caller := dial(t, h.at.HTTP)
		text := post(byID, asSandbox)
		if _, err := io.WriteString(caller, text[:len(text)-10]); err != nil {
			t.Fatal(err)
		}
		_ = caller.Close()
	}
	seamtest.Eventually(t, "the calls have ended", func() bool { return len(h.log.calls(t)) == 5 })
	if got := len(h.sandbox.Requests()); got != 0 {
		t.Errorf("%d requests reached Seam", got)
	}
}

// TestCallerCancelsMidCall shows that the call of a caller that cancels, or that hangs up, ends at once, and that its
// request to Seam is not retried.
func TestCallerCancelsMidCall(t *testing.T) {
	h := start(t)
	h.inject(sandbox.Fault{Delay: time.Minute})
	for name, call := range map[string]func(*testing.T, context.Context){
		"canceled over gRPC": func(_ *testing.T, ctx context.Context) { _, _ = h.client().GrantAccess(ctx, grantByID()) },
		"connection closed over gRPC": func(t *testing.T, ctx context.Context) {
			t.Helper()
			conn := h.connections(t, 1)[0]
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			_, _ = clientsessionv1.NewClientSessionServiceClient(conn).GrantAccess(context.WithoutCancel(ctx), grantByID())
		},
		"connection closed over REST": func(_ *testing.T, ctx context.Context) { _ = h.postGrant(ctx, byID) },
	} {
		t.Run(name, func(t *testing.T) {
			h.sandbox.ClearRequests()
			lines := len(h.log.calls(t))
			ctx, cancel := context.WithCancel(authorized(t))
			var calling sync.WaitGroup
			calling.Go(func() { call(t, ctx) })
			seamtest.Eventually(t, "Seam is asked", func() bool { return len(h.sandbox.Requests()) == 1 })
			began := time.Now()
			cancel()
			calling.Wait()
			seamtest.Eventually(t, "the call ends", func() bool { return len(h.log.calls(t)) > lines })
			if took := time.Since(began); took > 4*time.Second { // A request to Seam goes on for 5.
				t.Errorf("the call ends after %s", took)
			}
			if line := h.log.calls(t)[lines]; line["code"] != "Canceled" {
				t.Errorf("the log has %v", line)
			}
			if got := len(h.sandbox.Requests()); got != 1 {
				t.Errorf("%d requests reached Seam", got)
			}
		})
	}
}

// TestCallerDeadline shows that a call ends at the deadline of its caller over gRPC, who hears of it from the service.
func TestCallerDeadline(t *testing.T) {
	h := start(t)
	if _, err := h.client().GrantAccess(authorized(t), grantByID()); err != nil { // Makes the connections.
		t.Fatal(err)
	}
	h.inject(sandbox.Fault{Delay: time.Minute})
	// The service has 20 ms to say so before the caller's own clock does, which a busy machine may need for itself.
	for range 50 {
		ctx, cancel := context.WithTimeout(authorized(t), 300*time.Millisecond)
		_, err := h.client().GrantAccess(ctx, grantByID())
		cancel()
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		if details(t, status.Convert(err)).info.GetMetadata()["type"] == "upstream_timeout" {
			return
		}
	}
	t.Error("the caller never hears of it from the service")
}

// TestNoDeadlineOverREST shows that a header by which grpc-gateway would set a deadline is a header like any other.
func TestNoDeadlineOverREST(t *testing.T) {
	t.Parallel()
	h := start(t, func(cfg *config.Config) { cfg.DefaultTimeout = 10 * time.Second })
	for _, value := range []string{"1n", "1m", "20m", "0S", "soon", "-1S", "99999999H"} {
		h.inject(sandbox.Fault{Delay: 40 * time.Millisecond, Times: 1})
		if got := h.grant(byID, "Grpc-Timeout", value); got.status != http.StatusOK {
			t.Errorf("%s: got %d %s", value, got.status, got.text)
		}
	}
}
