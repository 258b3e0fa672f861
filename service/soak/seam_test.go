//go:build soak || fleet

package soak_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// seam is a process of the in-memory Seam, over TLS and HTTP/2 as the real one is reached. It may be controlled from any
// goroutine.
type seam struct {
	*process

	// flags are those by which a service uses this Seam.
	flags []string
	http  *http.Transport
}

func startSeam(t *testing.T) *seam {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	p := servicetest.StartReady(t, "sandbox", "--listen", "127.0.0.1:0", "--write-ca-file", file)
	authority, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	client := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}
	return &seam{p, []string{"--seam-endpoint", p.Seam, "--seam-ca-file", file}, client}
}

// inject makes Seam do wrong, or only slowly.
func (s *seam) inject(t *testing.T, f sandbox.Fault) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"path": f.Path, "times": f.Times, "delay_ms": f.Delay.Milliseconds(), "status": f.Status, "body": f.Body,
		"content_type": f.ContentType, "disconnect": f.Disconnect, "rate_limit": f.RateLimit, "retry_after": f.RetryAfter,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.control(t, http.MethodPost, "faults", body)
}

// clearFaults makes Seam do right again.
func (s *seam) clearFaults(t *testing.T) {
	t.Helper()
	s.control(t, http.MethodDelete, "faults", nil)
}

// reset takes Seam back to what it started with.
func (s *seam) reset(t *testing.T) {
	t.Helper()
	s.control(t, http.MethodPost, "reset", nil)
}

// control asks one of the sandbox's own routes.
func (s *seam) control(t *testing.T, method, route string, body []byte) {
	t.Helper()
	request, err := http.NewRequest(method, s.Seam+"/_sandbox/"+route, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.http.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s %s gets %d %s, %v", method, route, response.StatusCode, text, err)
	}
}
