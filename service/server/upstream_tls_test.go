package server_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestSeamOverTLS shows that Seam's certificate is checked, and that --seam-ca-file adds to those who may vouch for it.
func TestSeamOverTLS(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewUnstartedServer(sandbox.New(sandbox.Options{}))
	upstream.EnableHTTP2 = true
	upstream.StartTLS()
	t.Cleanup(upstream.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: upstream.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file   string
		status int
	}{
		"an authority that is not known": {"", http.StatusServiceUnavailable},
		"an authority in the file":       {file, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(cfg *config.Config) {
				cfg.SeamEndpoint, cfg.SeamCAFile = parseURL(t, upstream.URL), c.file
			})
			if got := h.grant(byID); got.status != c.status {
				t.Errorf("got %d %s, want %d", got.status, got.text, c.status)
			}
		})
	}
}
