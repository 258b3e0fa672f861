package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestBytesAfterResponseAreNotLogged shows that bytes after the end of a response are not logged: net/http's client
// writes them to the standard log by itself, and they can be the rest of a response with a token.
func TestBytesAfterResponseAreNotLogged(t *testing.T) {
	const token = "seam_cst1secret"
	seam, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			connection, err := seam.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				if request, err := http.ReadRequest(bufio.NewReader(connection)); err == nil {
					_, _ = io.Copy(io.Discard, request.Body)
					_, _ = fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{\"token\":\"%s\"}", token)
					_, _ = io.Copy(io.Discard, connection) // Until the service closes it.
				}
			}()
		}
	}()
	t.Cleanup(func() { _ = seam.Close() })

	cmd := command(t, build(t), "--grpc-listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
		"--drain-delay=0s", "--seam-endpoint=http://"+seam.Addr().String())
	lines := bufio.NewScanner(begin(t, cmd))
	var log strings.Builder
	var terminate sync.Once // A second signal would end the service before it has drained.
	for lines.Scan() {
		log.WriteString(lines.Text())
		var line struct{ Msg, HTTP string }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		switch line.Msg {
		case "ready":
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+line.HTTP+"/client_sessions/get", nil)
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
		case "standard log": // What net/http says of it has come.
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
	if !strings.Contains(log.String(), "Unsolicited response") || strings.Contains(log.String(), token) {
		t.Errorf("the log is %s; want it to tell of the stray bytes and not to quote them", &log)
	}
}
