package main

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// The call that is measured: a grant, by the id of the session. The credentials open nothing.
const (
	grantPath = "/client_sessions/grant_access"
	listPath  = "/client_sessions/list"
	sessionID = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	accountID = "c35ecf64-474a-466a-95a6-7b35cb4c8bb4"
	apiKey    = "seam_bench1_0123456789abcdef0123456789"

	grantRequest  = `{"client_session_id":"` + sessionID + `","connected_account_ids":["` + accountID + `"]}`
	grantResponse = `{"client_session":` + session + `,"ok":true}`
	// session is a session as Seam writes it.
	session = `{"client_session_id":"` + sessionID + `","workspace_id":"5f1a7c3e-8d24-4b69-9e0a-2c6b7d8e9f01",` +
		`"created_at":"2026-01-02T03:04:05.000Z","expires_at":"2027-01-02T03:04:05.000Z",` +
		`"token":"seam_cst1BenchFirst000000000000000000000","user_identifier_key":"jane_doe","device_count":2,` +
		`"connect_webview_ids":[],"connected_account_ids":["` + accountID + `"],"user_identity_ids":[]}`
)

// upstream stands in for Seam, over TLS.
type upstream struct {
	// protocol is h2 or h1, delay how long a response takes, and sessions how many a list has.
	protocol string
	delay    time.Duration
	sessions int

	responses map[string]string // By path.
	server    *httptest.Server
	// waiting is how many requests wait for their response.
	waiting atomic.Int64
}

// start starts the upstream, and writes its certificate to the file. A connection over HTTP/2 has at most 250 calls in
// flight, the default of Go.
func (u *upstream) start(authorityFile string) error {
	list := strings.TrimSuffix(strings.Repeat(session+",", u.sessions), ",")
	u.responses = map[string]string{grantPath: grantResponse, listPath: `{"client_sessions":[` + list + `],"ok":true}`}
	u.server = httptest.NewUnstartedServer(u)
	u.server.EnableHTTP2 = u.protocol == "h2"
	u.server.StartTLS()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: u.server.Certificate().Raw})
	return os.WriteFile(authorityFile, certificate, 0o600)
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if u.protocol == "h2" && request.ProtoMajor != 2 {
		w.WriteHeader(http.StatusHTTPVersionNotSupported) // No row says h2 of a program that does not speak it.
		return
	}
	_, _ = io.Copy(io.Discard, request.Body)
	if u.delay > 0 {
		u.waiting.Add(1)
		select {
		case <-time.After(u.delay):
		case <-request.Context().Done():
		}
		u.waiting.Add(-1)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Seam-Request-Id", "06161bd0-b59a-4a49-89ce-d76274a1558b")
	_, _ = io.WriteString(w, u.responses[request.URL.Path])
}
