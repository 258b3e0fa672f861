package server_test

import (
	"net/http"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
)

// TestNothingIsCached shows that no response of the REST face may be kept by a cache on the way: sessions have tokens.
func TestNothingIsCached(t *testing.T) {
	t.Parallel()
	const origin = "https://app.example.com"
	h := startWithCredential(t, func(cfg *config.Config) { cfg.CORSOrigins = []string{origin} })
	known := []string{"Authorization", "Bearer " + ordersToken}
	for name, got := range map[string]restResponse{
		"success":         h.grant(byID, known...),
		"GET":             h.send(http.MethodGet, "/client_sessions/list", "", known...),
		"HEAD":            h.send(http.MethodHead, "/client_sessions/list", "", known...),
		"invalid input":   h.grant(`{"x":1}`, known...),
		"Seam's error":    h.send(http.MethodGet, "/client_sessions/get?client_session_id=00000000-0000-4000-8000-000000000000", "", known...),
		"unauthenticated": h.grant(byID, "Authorization", ""),
		"other's page":    h.grant(byID, "Origin", "https://evil.example"),
		"own page":        h.grant(byID, append(known, "Origin", origin)...),
		"preflight":       h.send(http.MethodOptions, grantPath, "", "Origin", origin, "Access-Control-Request-Method", "POST"),
		"no such path":    h.send(http.MethodGet, "/", "", known...),
		"escaped path":    h.send(http.MethodGet, "/client_sessions%2Fget", "", known...),
		"no such method":  h.send(http.MethodDelete, grantPath, "", known...),
		"strange content": h.grant("x", append(known, "Content-Type", "text/plain")...),
	} {
		if values := got.header.Values("Cache-Control"); len(values) != 1 || values[0] != "no-store" {
			t.Errorf("%s: %d has Cache-Control %q", name, got.status, values)
		}
	}
}
