package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestProxy shows that requests to Seam go through the proxy that the environment names, as those of other programs do.
func TestProxy(t *testing.T) {
	var asked atomic.Pointer[string]
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(&r.RequestURI)
		_, _ = io.WriteString(w, `{"ok":true}`)
	}))
	defer proxy.Close()
	cmd := command(t, build(t), "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--drain-delay=0s", "--seam-endpoint=http://seam.example", "--allow-plaintext-upstream")
	cmd.Env = append(cmd.Env, "HTTP_PROXY="+proxy.URL)
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
	if uri := asked.Load(); uri == nil || *uri != "http://seam.example/client_sessions/get" {
		t.Errorf("the proxy is asked for %v", uri)
	}
}
