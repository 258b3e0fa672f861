package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestCrossOriginPages shows that a page in a browser cannot use the service credential of a service without callers
// file: neither by a cross-origin request (CSRF) nor by DNS rebinding.
func TestCrossOriginPages(t *testing.T) {
	const own, evil = "https://app.example.com", "https://evil.example"
	h := startWithCredential(t, func(c *config.Config) {
		c.CallersFile = ""
		c.CORSOrigins = []string{own}
		c.AllowedHosts = []string{"sessions.example.com"}
	})
	before := h.grants()
	for name, c := range map[string]struct {
		host    string
		headers []string
		status  int
	}{
		"no browser":                {"", nil, http.StatusOK},
		"localhost":                 {"localhost:8080", nil, http.StatusOK},
		"a listed origin":           {"", []string{"Origin", own, "Sec-Fetch-Site", "cross-site"}, http.StatusOK},
		"another origin":            {"", []string{"Origin", evil}, http.StatusForbidden},
		"an opaque origin":          {"", []string{"Origin", "null"}, http.StatusForbidden},
		"an image in a page":        {"", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"a page on another port":    {"", []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
		"a page of the same origin": {"sessions.example.com", []string{"Origin", "https://sessions.example.com", "Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		"the same by DNS rebinding": {"evil.example", []string{"Origin", evil, "Sec-Fetch-Site", "same-origin"}, http.StatusForbidden},
		"an allowed host":           {"sessions.example.com", nil, http.StatusOK},
		"DNS rebinding":             {"evil.example:8080", nil, http.StatusForbidden},
		"another machine's address": {"192.0.2.1:8080", nil, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			headers := append([]string{"Authorization", ""}, c.headers...)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
				"http://"+h.at.HTTP+"/client_sessions/get?client_session_id="+sandbox.SessionID, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = c.host
			for header, value := range pairs(headers) {
				request.Header.Set(header, value)
			}
			response, err := h.http.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != c.status {
				text, _ := io.ReadAll(response.Body)
				t.Errorf("got %d %s", response.StatusCode, text)
			}
		})
	}
	if lines := strings.Count(h.log.String(), `"msg":"cross-origin request refused"`); lines != 7 {
		t.Errorf("%d lines in the log about refused requests, want 7", lines)
	}
	got := h.send(http.MethodPost, "/client_sessions/delete?client_session_id="+sandbox.SessionID, "",
		"Origin", evil, "Content-Type", "text/plain", "Authorization", "")
	if got.status != http.StatusForbidden || h.grants() != before {
		t.Errorf("a page deleted a session: %d %s", got.status, got.text)
	}
}
