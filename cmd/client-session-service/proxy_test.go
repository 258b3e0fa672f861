package main_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestProxy shows that requests to Seam go through the proxy that the environment names, as those of other programs do.
// It is asked for a tunnel, so it does not see what is in them.
func TestProxy(t *testing.T) {
	var asked atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Method + " " + r.RequestURI
		asked.Store(&request)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	cmd := command(t, build(t), "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--drain-delay=0s", "--seam-endpoint=https://seam.example")
	cmd.Env = append(cmd.Env, "HTTPS_PROXY="+proxy.URL)
	for lines := bufio.NewScanner(begin(t, cmd)); lines.Scan(); {
		var line struct{ Msg, HTTP string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		if line.Msg == "ready" {
			get(t, "http://"+line.HTTP+"/client_sessions/get")
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit code is %d", code)
	}
	if request := asked.Load(); request == nil || *request != "CONNECT seam.example:443" {
		t.Errorf("the proxy is asked for %v", request)
	}
}
