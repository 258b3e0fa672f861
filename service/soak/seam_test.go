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
	"testing"
)

// fault is what Seam is to do wrong, as the sandbox's route /_sandbox/faults takes it. Times is how many requests it
// is for, 0 for all that follow.
type fault struct {
	Path        string `json:"path,omitempty"`
	Times       int    `json:"times"`
	DelayMS     int    `json:"delay_ms,omitempty"`
	Status      int    `json:"status,omitempty"`
	Body        string `json:"body,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	Disconnect  string `json:"disconnect,omitempty"`
	RateLimit   bool   `json:"rate_limit,omitempty"`
	RetryAfter  int    `json:"retry_after,omitempty"`
}

// inject makes Seam do wrong, or only slowly.
func (p *process) inject(t *testing.T, f fault) {
	t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	p.control(t, http.MethodPost, "/_sandbox/faults", body)
}

// clearFaults makes Seam do right again.
func (p *process) clearFaults(t *testing.T) {
	t.Helper()
	p.control(t, http.MethodDelete, "/_sandbox/faults", nil)
}

// reset takes Seam back to what it started with.
func (p *process) reset(t *testing.T) {
	t.Helper()
	p.control(t, http.MethodPost, "/_sandbox/reset", nil)
}

// control asks one of the sandbox's own routes. It may be called from any goroutine.
func (p *process) control(t *testing.T, method, path string, body []byte) {
	t.Helper()
	request, err := http.NewRequest(method, p.ready.Seam+path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("Content-Type", "application/json")
	authority, err := os.ReadFile(p.authority)
	if err != nil {
		t.Error(err)
		return
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trusted}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s %s gets %d %s, %v", method, path, response.StatusCode, text, err)
	}
}
