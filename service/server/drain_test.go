package server_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestDrain shows that calls in flight on both faces finish when the shutdown has begun, and that meanwhile it
// says that it is not ready and takes no new calls.
func TestDrain(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.client() // Connected below, before the drain.
	h.inject(sandbox.Fault{Delay: 500 * time.Millisecond, Times: 2})
	overGRPC, overREST := make(chan error, 1), make(chan restResponse, 1)
	go func() {
		_, err := h.client().GrantAccess(authorized(t), grantByID())
		overGRPC <- err
	}()
	go func() { overREST <- h.grant(byID) }()
	for len(h.sandbox.Requests()) < 2 { // Both are in flight once they have reached Seam.
		time.Sleep(time.Millisecond)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.stop() }()
	for { // The drain has begun once the service is not ready any more.
		code, _ := h.admin("/readyz")
		if code == http.StatusServiceUnavailable {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if code, _ := h.admin("/livez"); code != http.StatusOK {
		t.Errorf("a service that drains is not live: %d", code)
	}
	if err := <-overGRPC; err != nil {
		t.Errorf("the gRPC call in flight ended with %v", err)
	}
	if got := <-overREST; got.status != http.StatusOK {
		t.Errorf("the REST call in flight ended with %d %s", got.status, got.text)
	}
	if err := <-ended; err != nil {
		t.Errorf("the drain ended with %v", err)
	}
	for _, address := range []string{h.at.GRPC, h.at.HTTP, h.at.Admin} {
		if connection, err := net.Dial("tcp", address); err == nil {
			_ = connection.Close()
			t.Errorf("%s still takes connections", address)
		}
	}
}

// TestDrainDelay shows that after SIGTERM the service is not ready and still accepts calls, until load balancers have
// noticed; callers over HTTP/1.1 get Connection: close.
func TestDrainDelay(t *testing.T) {
	t.Parallel() // The delay of two seconds is waited.
	h := start(t, func(cfg *config.Config) { cfg.DrainDelay = 2 * time.Second })
	if got := h.grant(byID); got.last {
		t.Error("the connection is closed before the end")
	}
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- h.stop() }()
	seamtest.Eventually(t, "the service is not ready any more", func() bool {
		code, _ := h.admin("/readyz")
		return code == http.StatusServiceUnavailable
	})
	health, err := healthv1.NewHealthClient(h.conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health is %v, %v", health, err)
	}
	if code, _ := h.admin("/livez"); code != http.StatusOK {
		t.Errorf("a service that drains is not live: %d", code)
	}
	if got := h.send(http.MethodGet, "/readyz", ""); got.status != http.StatusServiceUnavailable || !got.last {
		t.Errorf("a health check of the REST face gets %d, and its connection is closed: %t", got.status, got.last)
	}
	if _, err := h.client().GrantAccess(authorized(t), grantByID()); err != nil {
		t.Errorf("a gRPC call within the delay gets %v", err)
	}
	if got := h.grant(byID); got.status != http.StatusOK || !got.last {
		t.Errorf("a REST call within the delay gets %d, and its connection is closed: %t", got.status, got.last)
	}
	if err := <-ended; err != nil {
		t.Errorf("the drain ended with %v", err)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("the drain took %s, which is less than its delay", took)
	}
}

// TestDrainTimeout shows that a call that does not end in time is cut off, so that the service ends, and that it says
// so.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	h := start(t, func(cfg *config.Config) { cfg.DrainTimeout = 300 * time.Millisecond })
	h.inject(sandbox.Fault{Delay: time.Minute})
	overGRPC, overREST := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := h.client().GrantAccess(authorized(t), grantByID())
		overGRPC <- err
	}()
	go func() { overREST <- h.postGrant(t.Context(), byID) }()
	seamtest.Eventually(t, "both calls are in flight", func() bool { return len(h.sandbox.Requests()) == 2 })
	began := time.Now()
	err := h.stop()
	if err == nil || !strings.Contains(err.Error(), "gRPC face") || !strings.Contains(err.Error(), "REST face") {
		t.Errorf("the drain ended with %v, want it to tell of both faces", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the drain took %s", took)
	}
	if err := <-overGRPC; status.Code(err) != codes.Unavailable && status.Code(err) != codes.Canceled {
		t.Errorf("the gRPC call that was cut off got %v", err)
	}
	if err := <-overREST; err == nil {
		t.Error("the REST call that was cut off got a response")
	}
	h.stop = func() error { return nil } // What went wrong was meant to.
}

// TestDrainEndsStreams shows that a health watch reports the drain and does not delay it.
func TestDrainEndsStreams(t *testing.T) {
	t.Parallel()
	h := start(t)
	watch, err := healthv1.NewHealthClient(h.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("got %v, %v", got, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.stop() }()
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unavailable || errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the drain waits for the stream")
	}
}
