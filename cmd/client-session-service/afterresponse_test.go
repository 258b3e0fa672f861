package main_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestBytesAfterResponseAreNotLogged shows that bytes after the end of a response are not logged: they can be the rest
// of a response with a token. net/http's transport writes them to the standard log by itself.
func TestBytesAfterResponseAreNotLogged(t *testing.T) {
	authority := servicetest.NewAuthority(t, "Seam")
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
	const token = "seam_cst1secret"
	go respondAndGoOn(seam, `{"token":"`+token+`"}`)
	service := servicetest.StartReady(t,
		listen("--seam-endpoint=https://"+seam.Addr().String(), "--seam-ca-file="+trusted)...)
	for range 2 {
		_ = get(t, "http://"+service.HTTP+"/client_sessions/get", "Bearer seam_apikey")
	}
	service.AwaitLog("Unsolicited response")
	service.Stop()
	if log := service.Log(); strings.Contains(log, token) {
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
