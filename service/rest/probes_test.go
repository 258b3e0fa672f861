package rest_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clientsession/client-session-service/service/rest"
)

// TestProbes shows what a load balancer learns at the port of the REST face: whether the service is ready, with any Host
// and any origin, and without a credential. No health check becomes a call or has a line in the log, and no page can read
// one. What is no health check is Seam's, the root too.
func TestProbes(t *testing.T) {
	t.Parallel()
	var ready atomic.Bool
	h := start(t, func(face *rest.Config) {
		face.Ready, face.ServiceCredential, face.RequireKnownHost = ready.Load, true, true
		face.CORSOrigins = []string{own}
	})
	for _, isReady := range []bool{true, false} {
		ready.Store(isReady)
		notReady := http.StatusOK
		if !isReady {
			notReady = http.StatusServiceUnavailable
		}
		for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": notReady, "/healthz": notReady} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
				for _, headers := range [][]string{
					{"Host", "rest"},
					{"Host", "localhost"},
					{"Origin", evil, "Sec-Fetch-Site", "cross-site"},
					{"Origin", own, "Access-Control-Request-Method", "GET"},
				} {
					got := h.send(method, path, "", append(headers, "Authorization", "")...)
					if got.status != want || got.header.Get("Cache-Control") != "no-store" ||
						got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Access-Control-Allow-Origin") != "" {
						t.Errorf("%s %s with %q gets %d %v, want %d", method, path, headers, got.status, got.header, want)
					}
				}
			}
		}
	}
	requests := len(h.sandbox.Requests())
	h.stop()
	if requests > 0 || h.log.Len() > 0 {
		t.Errorf("%d requests reached Seam, and the log has %s", requests, &h.log)
	}
}

// TestNoProbes shows that the root, and what is only like a health check, is a path like any other.
func TestNoProbes(t *testing.T) {
	t.Parallel()
	h := start(t, func(face *rest.Config) { face.Ready = func() bool { return true } })
	for _, request := range []string{
		"GET /", "HEAD /", "OPTIONS /", "POST /readyz", "GET /readyz/", "GET //readyz", "GET /READYZ", "GET /ready",
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := h.send(method, path, ""); got.status != http.StatusNotFound {
			t.Errorf("%s gets %d %s", request, got.status, got.text)
		}
	}
}
