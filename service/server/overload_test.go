package server_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// hold makes calls with the API keys, in turn, until Seam has that many requests, and has no response to any of them until
// release is called, which cancels the calls.
func (h *harness) hold(calls int, keys ...string) (release func()) {
	h.t.Helper()
	h.inject(sandbox.Fault{Delay: time.Minute, Path: "/client_sessions/get"})
	ctx, cancel := context.WithCancel(h.t.Context())
	var running sync.WaitGroup
	for i := range calls {
		of := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+keys[i%len(keys)])
		running.Go(func() { _, _ = h.client().Get(of, &clientsessionv1.GetRequest{}) })
	}
	seamtest.Eventually(h.t, "the calls are in flight", func() bool { return len(h.sandbox.Requests()) == calls })
	return func() {
		h.sandbox.ClearFaults()
		cancel()
		running.Wait()
	}
}

// TestTooManyInFlight shows that a call over the limit is refused at once over both faces and never reaches Seam,
// and that the service accepts calls again as soon as there is a free slot.
func TestTooManyInFlight(t *testing.T) {
	h := start(t, func(cfg *config.Config) { cfg.MaxInFlight = 4 })
	h.grant(byID) // The first key is proven, and the other one is another caller.
	h.sandbox.ClearRequests()
	release := h.hold(4, sandbox.APIKey, sandbox.OtherAPIKey)
	h.sandbox.ClearRequests()
	began := time.Now()
	var trailer metadata.MD
	_, err := h.client().GrantAccess(authorized(t), grantByID(), grpc.Trailer(&trailer))
	st := status.Convert(err)
	d := details(t, st)
	if st.Code() != codes.ResourceExhausted || d.info.GetReason() != "OVERLOADED" || d.info.GetDomain() != "client-session-service" ||
		d.retry.GetRetryDelay().AsDuration() != time.Second || strings.Join(trailer.Get("grpc-retry-pushback-ms"), "") != "-1" {
		t.Errorf("gRPC: got %v, trailer %v", st.Proto(), trailer)
	}
	got := h.grant(byID)
	if got.status != http.StatusServiceUnavailable || got.failure(t)["type"] != "overloaded" || got.header.Get("Retry-After") != "1" {
		t.Errorf("REST: got %d %s, %v", got.status, got.text, got.header)
	}
	// Two calls that each timed out waiting for a slot.
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the refusals took %s", took)
	}
	// A service that is busy is not dead.
	response, err := healthv1.NewHealthClient(h.conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || response.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", response, err)
	}
	_, text := h.admin("/metrics")
	for _, want := range []string{
		"client_session_service_in_flight 4\n", "client_session_service_grpc_streams 4\n",
		`client_session_service_refused_total{limit="in_flight"} 2`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if n := len(h.sandbox.Requests()); n != 0 {
		t.Errorf("%d requests reached Seam", n)
	}
	release()
	if got := h.grant(byID); got.status != http.StatusOK {
		t.Errorf("with room again: got %d %s", got.status, got.text)
	}
}

// TestCallerRate shows that a caller that makes more calls than it may is refused over both faces, together, and that
// made-up credentials gain nothing.
func TestCallerRate(t *testing.T) {
	h := start(t, func(cfg *config.Config) { cfg.CallerRPS = 0.01 })
	for range 2 { // One as a caller that Seam has not accepted yet, and one as itself.
		if got := h.grant(byID); got.status != http.StatusOK {
			t.Fatalf("got %d %s", got.status, got.text)
		}
	}
	_, err := h.client().GrantAccess(authorized(t), grantByID())
	d := details(t, status.Convert(err))
	if wait := d.retry.GetRetryDelay().AsDuration(); status.Code(err) != codes.ResourceExhausted ||
		d.info.GetReason() != "CALLER_RATE_LIMITED" || wait <= 90*time.Second || wait > 100*time.Second {
		t.Errorf("gRPC: got %v", status.Convert(err).Proto())
	}
	got := h.grant(byID)
	if got.status != http.StatusTooManyRequests || got.failure(t)["type"] != "caller_rate_limited" || got.header.Get("Retry-After") != "100" {
		t.Errorf("REST: got %d %s, %v", got.status, got.text, got.header)
	}
	if got := h.grant(byID, "Authorization", "Bearer seam_secretunknownkey"); got.status != http.StatusTooManyRequests {
		t.Errorf("a made-up credential gets %d %s", got.status, got.text)
	}
	for _, secret := range secrets() {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds the secret %s", secret)
		}
	}
}

// TestCallerRateByName shows that the rate limit of one authenticated caller does not affect another.
func TestCallerRateByName(t *testing.T) {
	h := startWithCredential(t, func(cfg *config.Config) { cfg.CallerRPS = 0.01 })
	for _, want := range []int{http.StatusOK, http.StatusTooManyRequests, http.StatusTooManyRequests} {
		if got := h.grant(byID, "Authorization", "Bearer "+ordersToken); got.status != want {
			t.Errorf("got %d %s, want %d", got.status, got.text, want)
		}
	}
	if got := h.send(http.MethodPost, "/client_sessions/list", "{}", "Authorization", "Bearer "+readerToken); got.status != http.StatusOK {
		t.Errorf("another caller gets %d %s", got.status, got.text)
	}
}

// TestTooManyConnections shows that at the limit the oldest connection that never had a call makes room for a new one,
// over each face, and that the connection of a caller does not.
func TestTooManyConnections(t *testing.T) {
	h := startWithCredential(t, func(cfg *config.Config) { cfg.MaxInFlight = 1 })
	for name, address := range map[string]string{"gRPC": h.at.GRPC, "REST": h.at.HTTP} {
		t.Run(name, func(t *testing.T) {
			const limit = 1024 // The minimum limit, for any --max-in-flight.
			open := make([]net.Conn, 0, limit)
			t.Cleanup(func() {
				for _, connection := range open {
					_ = connection.Close()
				}
			})
			dial := func() net.Conn {
				connection, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				open = append(open, connection)
				return connection
			}
			// Whether a connection was closed, after what a gRPC server says first.
			closed := func(connection net.Conn, within time.Duration) bool {
				_ = connection.SetReadDeadline(time.Now().Add(within))
				_, err := io.Copy(io.Discard, connection)
				return !errors.Is(err, os.ErrDeadlineExceeded)
			}
			h.check(t) // The connection of a caller is older than all others.
			for range limit - 1 {
				dial()
			}
			if closed(open[0], 300*time.Millisecond) {
				t.Error("a connection within the limit was closed")
			}
			if closed(dial(), 300*time.Millisecond) || !closed(open[0], 10*time.Second) {
				t.Error("the oldest connection makes no room for a new one")
			}
			h.check(t)
			// Those that had calls make room as well, and new ones do not close each other.
			burst := make([]net.Conn, 20)
			for i := range burst {
				burst[i] = dial()
			}
			for _, connection := range burst {
				if closed(connection, 50*time.Millisecond) {
					t.Error("a new connection closes another new one")
				}
			}
		})
	}
	const none = `client_session_service_refused_total{limit="connections"} 0` + "\n" // The series exists from the start.
	if _, text := h.admin("/metrics"); strings.Contains(text, none) {
		t.Error("the metrics count no refused connection")
	}
}

// TestConnectionAge shows that a gRPC client reconnects when its connection has the maximum age, and that no call fails
// for it.
func TestConnectionAge(t *testing.T) {
	t.Parallel() // Each of three calls takes half a second.
	h := start(t, func(cfg *config.Config) { cfg.MaxConnectionAge = 200 * time.Millisecond })
	dialed := 0
	conn, err := grpc.NewClient("passthrough:///"+h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			dialed++ // grpc-go makes one connection at a time.
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := clientsessionv1.NewClientSessionServiceClient(conn)
	h.inject(sandbox.Fault{Delay: 500 * time.Millisecond})
	for range 3 { // Each call is in flight when its connection gets too old.
		if _, err := client.GrantAccess(authorized(t), grantByID()); err != nil {
			t.Errorf("got %v", err)
		}
	}
	if dialed < 2 {
		t.Errorf("%d connections in 1.5 s, each good for 0.2 s", dialed)
	}
}
