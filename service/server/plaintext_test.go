package server_test

import (
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
)

// TestPlaintextUpstreamWarns shows that a service whose requests to Seam leave the machine unencrypted warns once.
func TestPlaintextUpstreamWarns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		endpoint string
		change   func(*config.Config)
		warnings int
	}{
		"another machine":                  {"http://seam.example.com", func(*config.Config) {}, 1},
		"another machine, with a key":      {"http://192.0.2.1", func(cfg *config.Config) { cfg.SeamAPIKey = "seam_held1key_x" }, 1},
		"this machine":                     {"http://127.0.0.1:1", func(*config.Config) {}, 0},
		"TLS":                              {"https://seam.example.com", func(*config.Config) {}, 0},
		"sandbox beside another's address": {"http://seam.example.com", func(cfg *config.Config) { cfg.Sandbox, cfg.SandboxListen = true, "127.0.0.1:0" }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(cfg *config.Config) { cfg.SeamEndpoint = parseURL(t, test.endpoint) }, test.change)
			h.end()
			const warning = `"level":"WARN","msg":"requests to Seam, and the credentials in them, leave this machine unencrypted"`
			if n := strings.Count(h.log.String(), warning); n != test.warnings {
				t.Errorf("%d warnings, want %d", n, test.warnings)
			}
		})
	}
}
