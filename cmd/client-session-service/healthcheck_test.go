package main_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestHealthcheck shows that the command tells by its exit code whether a service is ready, wherever it finds the address.
func TestHealthcheck(t *testing.T) {
	ready := servicetest.StartReady(t, listen("--sandbox", "--admin-listen=:0")...)
	_, port, err := net.SplitHostPort(ready.Admin)
	if err != nil {
		t.Fatal(err)
	}
	draining := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	}))
	defer draining.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	for name, test := range map[string]struct {
		arg, env, want string
		code           int
	}{
		"ready":             {"--admin-listen=127.0.0.1:" + port, "", "", 0},
		"every address":     {"--admin-listen=0.0.0.0:" + port, "", "", 0},
		"without a host":    {"--admin-listen=:" + port, "", "", 0},
		"environment":       {"--log-level=info", "ADMIN_LISTEN=localhost:" + port, "", 0},
		"beside a proxy":    {"--admin-listen=0.0.0.0:" + port, "HTTP_PROXY=http://127.0.0.1:1", "", 0},
		"draining":          {"--admin-listen=" + draining.Listener.Addr().String(), "", "not ready: ", 1},
		"nobody":            {"--admin-listen=" + nobody.Addr().String(), "", "does not respond: ", 1},
		"another host":      {"--admin-listen=name.invalid:1", "", "does not respond: ", 1},
		"invalid address":   {"--admin-listen=x", "", "--admin-listen: ", 2},
		"another violation": {"--max-in-flight=none", "", "--max-in-flight: ", 2},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := servicetest.Command(t, "healthcheck", test.arg)
			cmd.Env = append(cmd.Env, test.env)
			got := servicetest.Run(t, cmd)
			said := got.Stdout + got.Stderr
			if got.Code != test.code || !strings.Contains(said, test.want) || test.want == "" && said != "" {
				t.Errorf("exit code is %d, want %d; it says %q", got.Code, test.code, said)
			}
		})
	}
}
