package server_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/server"
)

// admin asks the admin listener.
func (h *harness) admin(path string) (int, string) {
	h.t.Helper()
	return h.ask(http.MethodGet, "http://"+h.at.Admin+path, "")
}

func TestHealth(t *testing.T) {
	h := start(t)
	for _, path := range []string{"/livez", "/readyz", "/healthz"} {
		if code, text := h.admin(path); code != http.StatusOK {
			t.Errorf("%s gets %d %s", path, code, text)
		}
	}
	const serving = healthv1.HealthCheckResponse_SERVING
	// No credential: load balancers have none.
	health := healthv1.NewHealthClient(h.conn)
	names := []string{"", clientsessionv1.ClientSessionService_ServiceDesc.ServiceName}
	listed, err := health.List(t.Context(), &healthv1.HealthListRequest{})
	if err != nil || len(listed.GetStatuses()) != len(names) {
		t.Errorf("List returns %v, %v", listed, err)
	}
	for _, name := range names {
		request := &healthv1.HealthCheckRequest{Service: name}
		got, err := health.Check(t.Context(), request)
		if err != nil || got.GetStatus() != serving || listed.GetStatuses()[name].GetStatus() != serving {
			t.Errorf("health of %q is %v, %v", name, got, err)
		}
		if got, err := watchHealth(t, health, name); err != nil || got.GetStatus() != serving {
			t.Errorf("health of %q, watched, is %v, %v", name, got, err)
		}
	}
	if _, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "none"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service is %v", err)
	}
	if got, err := watchHealth(t, health, "none"); err != nil || got.GetStatus() != healthv1.HealthCheckResponse_SERVICE_UNKNOWN {
		t.Errorf("health of an unknown service, watched, is %v, %v", got, err)
	}
}

// watchHealth returns the first status that a watcher gets.
func watchHealth(t *testing.T, health healthv1.HealthClient, name string) (*healthv1.HealthCheckResponse, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch, err := health.Watch(ctx, &healthv1.HealthCheckRequest{Service: name})
	if err != nil {
		return nil, err
	}
	return watch.Recv()
}

func TestReflection(t *testing.T) {
	h := start(t)
	stream, err := reflectionv1.NewServerReflectionClient(h.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	request := &reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	}
	if err := stream.Send(request); err != nil {
		t.Fatal(err)
	}
	got, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, service := range got.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	if !slices.Contains(names, clientsessionv1.ClientSessionService_ServiceDesc.ServiceName) {
		t.Errorf("reflection lists %q", names)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
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
