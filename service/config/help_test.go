package config_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
)

func TestParsePrints(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"help": {[]string{"--help"}, []string{"Usage: client-session-service", "--version", "sandbox"}},
		"help of serve": {
			[]string{"serve", "--help"},
			[]string{
				"--grpc-listen", "$GRPC_LISTEN", "--http-listen", "$HTTP_LISTEN", "--admin-listen", "$ADMIN_LISTEN", "--seam-endpoint",
				"$SEAM_ENDPOINT", "--sandbox ", "$SANDBOX", "--sandbox-listen", "$SANDBOX_LISTEN", "--default-timeout",
				"$DEFAULT_TIMEOUT", "--max-timeout", "$MAX_TIMEOUT", "--log-level", "$LOG_LEVEL", "--log-format", "$LOG_FORMAT",
				"--cors-origin", "$CORS_ORIGIN", "--max-in-flight", "$MAX_IN_FLIGHT", "--caller-rps", "$CALLER_RPS", "--max-response-mib", "$MAX_RESPONSE_MIB", "--drain-delay",
				"$DRAIN_DELAY", "--drain-timeout", "$DRAIN_TIMEOUT", "--max-connection-age", "$MAX_CONNECTION_AGE",
				"--allow-plaintext-upstream", "$ALLOW_PLAINTEXT_UPSTREAM", "--allowed-host", "$ALLOWED_HOST", "--pprof", "$PPROF",
			},
		},
		"help beside a fault": {[]string{"--grpc-listen=x", "--help"}, []string{"Usage: "}},
		"version":             {[]string{"--version"}, []string{"v1\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if _, err := config.Parse(test.args, "v1", &out); !errors.Is(err, config.ErrDone) {
				t.Fatalf("error is %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in %s", want, out.String())
				}
			}
		})
	}
}
