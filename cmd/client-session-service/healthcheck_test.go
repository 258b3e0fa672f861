package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
)

// TestHealthcheck shows that the command tells by its exit code whether a service is ready, wherever it finds the address.
func TestHealthcheck(t *testing.T) {
	binary := build(t)
	service := command(t, binary, "--sandbox", "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=:0", "--drain-delay=0s")
	lines := bufio.NewScanner(begin(t, service))
	var ready struct{ Msg, Admin string }
	for ready.Msg != "ready" && lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &ready); err != nil {
			t.Fatal(err)
		}
	}
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
		"invalid address":   {"--admin-listen=x", "", "--admin-listen: ", 2},
		"another violation": {"--max-in-flight=none", "", "--max-in-flight: ", 2},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, binary, "healthcheck", test.arg)
			cmd.Env = append(cmd.Env, test.env)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if code := exitCode(t, cmd.Run()); code != test.code || !strings.Contains(out.String(), test.want) || test.want == "" && out.Len() > 0 {
				t.Errorf("exit code is %d, want %d; it says %q", code, test.code, out.String())
			}
		})
	}
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
		continue
	}
	if code := exitCode(t, service.Wait()); code != 0 {
		t.Errorf("the service ends with %d", code)
	}
}
