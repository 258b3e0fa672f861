package server_test

import (
	"net/http"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
)

// TestSeamOverTLS shows that Seam's certificate is checked, and that --seam-ca-file adds to those who may vouch for it.
func TestSeamOverTLS(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*config.Config)
		status int
	}{
		"an authority that is not known": {func(cfg *config.Config) { cfg.SeamCAFile = "" }, http.StatusServiceUnavailable},
		"an authority in the file":       {func(*config.Config) {}, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			if got := start(t, c.change).grant(byID); got.status != c.status {
				t.Errorf("got %d %s, want %d", got.status, got.text, c.status)
			}
		})
	}
}
