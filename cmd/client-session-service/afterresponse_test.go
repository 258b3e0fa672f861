package main_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestBytesAfterResponseAreNotLogged shows that bytes after the end of a response are not logged: they can be the rest
// of a response with a token. net/http's transport writes them to the standard log by itself.
func TestBytesAfterResponseAreNotLogged(t *testing.T) {
	authority := seamtest.NewAuthority(t, "Seam")
	trusted := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(trusted, authority.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	seam, err := tls.Listen("tcp", "127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{authority.Pair(t, "127.0.0.1")}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = seam.Close() })
	const token, logged = "seam_cst1secret", "Unsolicited response"
	go respondAndGoOn(seam, `{"token":"`+token+`"}`)
	log := logOfTwoCalls(t, logged, "--seam-endpoint=https://"+seam.Addr().String(), "--seam-ca-file="+trusted)
	if !strings.Contains(log, logged) || strings.Contains(log, token) {
		t.Errorf("the log is %s; want it not to quote the bytes after a response", log)
	}
}

// respondAndGoOn responds to one request on each connection, and goes on with more bytes.
func respondAndGoOn(listener net.Listener, more string) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			if request, err := http.ReadRequest(bufio.NewReader(connection)); err == nil {
				_, _ = io.Copy(io.Discard, request.Body)
				_, _ = fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}%s", more)
				_, _ = io.Copy(io.Discard, connection) // Until the service closes it.
			}
		}()
	}
}

// logOfTwoCalls returns the log of a service that gets two calls, and ends when it has logged a text.
func logOfTwoCalls(t *testing.T, until string, args ...string) string {
	t.Helper()
	cmd := command(t, build(t), append(args, "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0",
		"--admin-listen=127.0.0.1:0", "--drain-delay=0s")...)
	lines := bufio.NewScanner(begin(t, cmd))
	var log strings.Builder
	var terminate sync.Once // A second signal would end the service before it has drained.
	for calls := 0; lines.Scan(); {
		log.WriteString(lines.Text())
		var line struct{ Msg, HTTP string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		switch line.Msg {
		case "ready":
			for range 2 {
				get(t, "http://"+line.HTTP+"/client_sessions/get")
			}
		case "call":
			calls++
		}
		if calls == 2 && strings.Contains(log.String(), until) {
			terminate.Do(func() {
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if code := exitCode(t, cmd.Wait()); code != 0 {
		t.Errorf("exit code is %d", code)
	}
	return log.String()
}

func get(t *testing.T, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer seam_apikey")
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
}
