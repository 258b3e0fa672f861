package server_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/server"
)

// admin asks the admin listener.
func (h *harness) admin(path string) (int, string) {
	h.t.Helper()
	return h.ask(http.MethodGet, "http://"+h.at.Admin+path, "")
}

// TestHealth shows what a service that is ready says of its health, to load balancers without a credential.
func TestHealth(t *testing.T) {
	h := start(t)
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if code, text := h.admin(path); code != http.StatusOK {
			t.Errorf("%s gets %d %s", path, code, text)
		}
	}
	listed, err := healthv1.NewHealthClient(h.conn).List(t.Context(), &healthv1.HealthListRequest{})
	if err != nil || len(listed.GetStatuses()) != 2 {
		t.Errorf("the list is %v, %v", listed, err)
	}
	for _, name := range []string{"", clientsessionv1.ClientSessionService_ServiceDesc.ServiceName} {
		if got := listed.GetStatuses()[name].GetStatus(); got != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("health of %q is %v", name, got)
		}
	}
}

// TestMetrics shows that the calls of both faces are counted, each under its face, and that no secret is a label.
func TestMetrics(t *testing.T) {
	h := start(t)
	h.grant(byID)
	h.grant(`{}`)
	if _, err := h.client().GrantAccess(authorized(t), grantByID()); err != nil {
		t.Fatal(err)
	}
	_, text := h.admin("/metrics")
	const handled = `grpc_server_handled_total{face="%s",grpc_code="%s",grpc_method="GrantAccess",` +
		`grpc_service="seam.clientsession.v1.ClientSessionService",grpc_type="unary"} 1`
	for _, want := range []string{
		strings.NewReplacer(`face="%s"`, `face="rest"`, `code="%s"`, `code="OK"`).Replace(handled),
		strings.NewReplacer(`face="%s"`, `face="rest"`, `code="%s"`, `code="InvalidArgument"`).Replace(handled),
		strings.NewReplacer(`face="%s"`, `face="grpc"`, `code="%s"`, `code="OK"`).Replace(handled),
		"client_session_service_panics_total 0", `client_session_service_build_info{version="test"} 1`, "go_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, secret := range secrets() {
		if strings.Contains(text, secret) {
			t.Errorf("the metrics hold the secret %s", secret)
		}
	}
}

// TestDrain shows that calls in flight on both faces finish when the shutdown has begun, and that meanwhile it
// says that it is not ready and takes no new calls.
func TestDrain(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.client() // Connected below, before the drain.
	if err := h.sandbox.Inject(sandbox.Fault{Delay: 500 * time.Millisecond, Times: 2}); err != nil {
		t.Fatal(err)
	}
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

// TestCallerCancels shows that the request to Seam is canceled with its call.
func TestCallerCancels(t *testing.T) {
	h := start(t)
	if err := h.sandbox.Inject(sandbox.Fault{Delay: time.Minute}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(authorized(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = h.client().GrantAccess(ctx, grantByID())
	}()
	for len(h.sandbox.Requests()) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if err := h.stop(); err != nil { // It would take a minute if the request to Seam lived on.
		t.Error(err)
	}
	if calls := h.log.calls(t); len(calls) != 1 || calls[0]["code"] != "Canceled" {
		t.Errorf("the log has %v", calls)
	}
}

// TestTakenAddresses shows that a start reports every address that cannot be had, and gives the others back.
func TestTakenAddresses(t *testing.T) {
	h := start(t)
	cfg := config.Config{
		GRPCListen: h.at.GRPC, HTTPListen: "127.0.0.1:0", AdminListen: h.at.Admin,
		SeamEndpoint: parseURL(t, h.seamURL), DefaultTimeout: time.Second, MaxTimeout: time.Second,
	}
	_, err := server.New(cfg, nil)
	if err == nil || !strings.Contains(err.Error(), "--grpc-listen") || !strings.Contains(err.Error(), "--admin-listen") ||
		strings.Contains(err.Error(), "--http-listen") {
		t.Errorf("got %v", err)
	}
}

// TestBuiltInSandbox shows that the service runs against its own sandbox. This is the one test in which a request goes
// over http://, in plain text and HTTP/1.1: all others reach Seam over TLS, as it is reached.
func TestBuiltInSandbox(t *testing.T) {
	h := start(t, func(cfg *config.Config) {
		cfg.SeamEndpoint = parseURL(t, "https://connect.getseam.com")
		cfg.Sandbox, cfg.SandboxListen = true, "127.0.0.1:0"
	})
	if got := h.grant(byID); got.status != http.StatusOK {
		t.Errorf("got %d %s", got.status, got.text)
	}
	if len(h.sandbox.Requests()) != 0 || !strings.HasPrefix(h.at.Seam, "http://127.0.0.1:") {
		t.Errorf("the grant went elsewhere; Seam is at %s", h.at.Seam)
	}
}
