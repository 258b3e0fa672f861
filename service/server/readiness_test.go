package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/server"
)

// TestReadinessDoesNotFollowSeam shows that a service whose Seam is down stays in its load balancer, where it responds
// clearly: taking out all replicas would bring nothing back.
func TestReadinessDoesNotFollowSeam(t *testing.T) {
	t.Parallel()
	h := start(t, func(cfg *config.Config) { cfg.SeamEndpoint = parseURL(t, "https://127.0.0.1:1") })
	seamtest.Eventually(t, "the circuit breaker opens", func() bool {
		return strings.Contains(h.grant(byID).text, "upstream_circuit_open")
	})
	for _, path := range []string{"/readyz", "/healthz", "/livez"} {
		if code, text := h.admin(path); code != http.StatusOK {
			t.Errorf("%s gets %d %s", path, code, text)
		}
	}
	health, err := healthv1.NewHealthClient(h.conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", health, err)
	}
	if _, text := h.admin("/metrics"); !strings.Contains(text, "client_session_service_upstream_callers_cut_off 1\n") {
		t.Error("the metrics do not say that the circuit breaker is open")
	}
}

// TestNotReadyBeforeItRuns shows that a service that has its addresses but does not serve yet is not ready: a client
// that asks gets no response.
func TestNotReadyBeforeItRuns(t *testing.T) {
	t.Parallel()
	s, err := server.New(config.Config{
		GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
		SeamEndpoint: parseURL(t, "https://127.0.0.1:1"), DefaultTimeout: time.Second, MaxTimeout: time.Second, MaxInFlight: 1,
		DrainTimeout: time.Second,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + s.Addresses().Admin + "/readyz")
	if err == nil {
		_ = response.Body.Close()
		t.Errorf("it responds with %d", response.StatusCode)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if err := s.Run(over); err != nil { // It gives its addresses back.
		t.Error(err)
	}
}
