package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

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
	before := settled(t)
	for range 5 {
		caller := dial(t, h.at.HTTP)
		text := post(byID, asSandbox)
		if _, err := io.WriteString(caller, text[:len(text)-10]); err != nil {
			t.Fatal(err)
		}
		_ = caller.Close()
	}
	seamtest.Eventually(t, "the calls have ended", func() bool { return len(h.log.calls(t)) == 5 })
	before.restored(t)
	if got := len(h.sandbox.Requests()); got != 0 {
		t.Errorf("%d requests reached Seam", got)
	}
}

// cancelableCall makes a call in a way of its own and returns what cancels it. The call has ended when done is
// closed.
type cancelableCall func(t *testing.T, h *harness, k kind) (cancel func(), done <-chan struct{})

func cancelableCalls() map[string]cancelableCall {
	return map[string]cancelableCall{
		"cancelled over gRPC": func(t *testing.T, h *harness, k kind) (func(), <-chan struct{}) {
			t.Helper()
			ctx, cancel := context.WithCancel(authorized(t))
			return cancel, begin(func() { _ = k.grpc(ctx, h) })
		},
		"connection closed over gRPC": func(t *testing.T, h *harness, k kind) (func(), <-chan struct{}) {
			t.Helper()
			conn, err := grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			ctx, other := authorized(t), *h
			other.conn = conn
			return func() { _ = conn.Close() }, begin(func() { _ = k.grpc(ctx, &other) })
		},
		"connection closed over REST": func(t *testing.T, h *harness, k kind) (func(), <-chan struct{}) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			request, err := http.NewRequestWithContext(ctx, k.method, "http://"+h.at.HTTP+k.path+k.query, strings.NewReader(k.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
			return cancel, begin(func() {
				if response, err := h.http.Do(request); err == nil {
					_ = response.Body.Close()
				}
			})
		},
	}
}

func begin(call func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		call()
	}()
	return done
}

// TestCallerCancelsMidCall shows that the call of a caller that cancels ends at once, whatever it is and wherever it
// stands, that its request to Seam is not retried, and that this ends as well.
func TestCallerCancelsMidCall(t *testing.T) {
	t.Parallel() // The requests end seconds after their calls.
	const waiting = "waiting for Seam again"
	later := seamtest.Reply{Status: 503, Header: http.Header{"Retry-After": {"2"}}, Body: `{"error":{"type":"t","message":"m"}}`}
	canceled := func(f fault) fault { return f }
	for _, f := range slices.Concat(
		overBoth("no response", seamtest.Reply{Then: seamtest.Hang}, canceled),
		overBoth("half a response", seamtest.Reply{Status: 200, Body: halfResponse, Then: seamtest.Hang}, canceled),
		overBoth(waiting, later, canceled),
	) {
		for name, call := range cancelableCalls() {
			t.Run(f.name+", "+name, func(t *testing.T) {
				t.Parallel()
				seam := startUpstream(t, f.Fault)
				h := start(t, pointAt(t, seam))
				seam.Break()
				for _, k := range kinds() {
					if strings.HasSuffix(f.name, waiting) && k.name == "write once" {
						continue // It is not retried anyway.
					}
					lines := len(h.log.calls(t))
					cancel, done := call(t, h, k)
					seamtest.Eventually(t, "the upstream is asked", func() bool { return seam.RequestsTo(k.path) == 1 })
					began := time.Now()
					cancel()
					<-done
					seamtest.Eventually(t, "the call ends", func() bool { return len(h.log.calls(t)) > lines })
					if took := time.Since(began); took > 4*time.Second { // A request goes on for 5.
						t.Errorf("%s: the call ends after %s", k.name, took)
					}
					if line := h.log.calls(t)[lines]; line["code"] != "Canceled" {
						t.Errorf("%s: the log has %v", k.name, line)
					}
				}
				seamtest.Eventually(t, "the requests to Seam end", func() bool { return seam.Playing.Load() == 0 })
				for _, k := range kinds() {
					if got := seam.RequestsTo(k.path); got > 1 {
						t.Errorf("%s: %d requests", k.name, got)
					}
				}
				seam.Heal()
				if got := h.grant(byID); got.status != http.StatusOK {
					t.Errorf("a good call afterwards gets %d %s", got.status, got.text)
				}
			})
		}
	}
}

// TestCallerDeadline shows that a call ends at the deadline of its caller over gRPC, who hears of it from the service.
func TestCallerDeadline(t *testing.T) {
	t.Parallel()
	const deadline, calls = 300 * time.Millisecond, 20
	for _, f := range overBoth("no response", seamtest.Reply{Then: seamtest.Hang}, timesOut) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			seam := startUpstream(t, f.Fault)
			h := start(t, pointAt(t, seam))
			if _, err := h.client().GrantAccess(authorized(t), grantByID()); err != nil { // Makes the connections.
				t.Fatal(err)
			}
			seam.Break()
			for _, k := range kinds() {
				heard := false
				// The service has 20 ms to say so before the caller's own clock does, which a busy machine may need for itself.
				for call := 1; call <= calls && !heard; call++ {
					ctx, cancel := context.WithTimeout(authorized(t), deadline)
					st := status.Convert(k.grpc(ctx, h))
					cancel()
					if st.Code() != codes.DeadlineExceeded {
						t.Errorf("%s: got %v", k.name, st)
					}
					heard = details(t, st).info.GetMetadata()["type"] == "upstream_timeout"
					if got := seam.RequestsTo(k.path); got > call {
						t.Errorf("%s: %d requests for %d calls", k.name, got, call)
					}
				}
				if !heard {
					t.Errorf("%s: the caller never hears of it from the service", k.name)
				}
			}
		})
	}
}

// TestNoDeadlineOverREST shows that a header by which grpc-gateway would set a deadline is a header like any other.
func TestNoDeadlineOverREST(t *testing.T) {
	t.Parallel()
	h := start(t, func(cfg *config.Config) { cfg.DefaultTimeout = 10 * time.Second })
	for _, value := range []string{"1n", "1m", "20m", "0S", "soon", "-1S", "99999999H"} {
		if err := h.sandbox.Inject(sandbox.Fault{Delay: 40 * time.Millisecond, Times: 1}); err != nil {
			t.Fatal(err)
		}
		if got := h.grant(byID, "Grpc-Timeout", value); got.status != http.StatusOK {
			t.Errorf("%s: got %d %s", value, got.status, got.text)
		}
	}
}
