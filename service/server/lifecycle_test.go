package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
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
		if code, text := h.ask(http.MethodGet, "http://"+h.at.HTTP+path, ""); code != http.StatusOK {
			t.Errorf("%s of the REST face gets %d %s", path, code, text)
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
