package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestPaths shows which spellings of a path are the path, and that the log quotes no path with a secret in it.
func TestPaths(t *testing.T) {
	h := start(t)
	for path, want := range map[string]int{
		"/client_sessions/grant_access":         http.StatusOK,
		"//client_sessions/grant_access":        http.StatusOK, // Some clients join URLs so. Never a redirect.
		"/client_sessions%2Fgrant_access":       http.StatusNotFound,
		"/client_sessions/%67rant_access":       http.StatusNotFound,
		"/client_sessions/grant_access/":        http.StatusNotFound,
		"/x/../client_sessions/grant_access":    http.StatusNotFound,
		"/client_sessions/grant_access:grant":   http.StatusNotFound,
		"/CLIENT_SESSIONS/grant_access":         http.StatusNotFound,
		"/" + sandbox.SessionToken + "/a":       http.StatusNotFound,
		"/client_sessions/" + sandbox.APIKey:    http.StatusNotFound,
		"/%2Fclient_sessions/grant_access":      http.StatusNotFound,
		"//evil.example//client_sessions/grant": http.StatusNotFound,
	} {
		if got := h.send(http.MethodPost, path, byID); got.status != want {
			t.Errorf("%s gets %d %s, want %d", path, got.status, got.text, want)
		}
	}
	h.stop()
	for _, secret := range []string{sandbox.APIKey, sandbox.SessionToken} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log holds the secret %s out of a path", secret)
		}
	}
}
