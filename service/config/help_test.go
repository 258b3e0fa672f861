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
			[]string{"--grpc-listen", "($GRPC_LISTEN)", "--sandbox ", "($SANDBOX)", "--log-format", "($LOG_FORMAT)"},
		},
		"help of the sandbox":  {[]string{"sandbox", "--help"}, []string{"--listen", "($SANDBOX_LISTEN)"}},
		"help beside an error": {[]string{"--grpc-listen=x", "--help"}, []string{"Usage: "}},
		"version":              {[]string{"--version"}, []string{"v1\n"}},
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
