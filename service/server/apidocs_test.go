package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/clientsession/client-session-service/service/config"
)

// TestOpenAPIIsServed shows how the document is served: in both forms, to anybody, and to GET and HEAD alone. A cache may
// keep it, but has to ask whether it is still the same.
func TestOpenAPIIsServed(t *testing.T) {
	t.Parallel()
	h := startWithCredential(t)
	documents := map[string]any{}
	for path, want := range map[string]string{"/openapi.json": "application/json", "/openapi.yaml": "application/yaml"} {
		got := h.send(http.MethodGet, path, "", "Authorization", "")
		etag := got.header.Get("Etag")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != want || got.header.Get("Cache-Control") != "no-cache" || etag == "" {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		var document any
		if err := yaml.Unmarshal([]byte(got.text), &document); err != nil { // JSON is YAML too.
			t.Error(err)
		}
		text, _ := json.Marshal(document)
		documents[string(text)] = true
		if again := h.send(http.MethodGet, path, "", "If-None-Match", etag); again.status != http.StatusNotModified || again.text != "" {
			t.Errorf("%s once more: %d %.20s", path, again.status, again.text)
		}
		if head := h.send(http.MethodHead, path, ""); head.status != http.StatusOK || head.header.Get("Etag") != etag || head.text != "" {
			t.Errorf("HEAD %s: %d %v", path, head.status, head.header)
		}
		if post := h.send(http.MethodPost, path, "{}"); post.status != http.StatusMethodNotAllowed || post.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d %v", path, post.status, post.header)
		}
		if page := h.send(http.MethodGet, path, "", "Origin", "https://evil.example"); page.status != http.StatusForbidden {
			t.Errorf("%s for a page of another origin: %d", path, page.status)
		}
	}
	if len(documents) != 1 {
		t.Error("the two forms differ")
	}
	if calls := h.log.calls(t); len(calls) != 0 {
		t.Errorf("it became calls: %v", calls)
	}
}

// TestAPIDocs shows that the API page is there where it is asked for, and allows nothing but itself. The suite in a browser
// shows that it works.
func TestAPIDocs(t *testing.T) {
	t.Parallel()
	paths := map[string]string{
		"/docs": "text/html; charset=utf-8", "/docs/start.js": "text/javascript; charset=utf-8",
		"/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8", "/docs/swagger-ui.css": "text/css; charset=utf-8",
		"/docs/favicon.png": "image/png",
	}
	off, on := start(t), startWithCredential(t, func(cfg *config.Config) { cfg.APIDocs = true })
	for path, want := range paths {
		if got := off.send(http.MethodGet, path, ""); got.status != http.StatusNotFound {
			t.Errorf("%s gets %d where it is off", path, got.status)
		}
		got := on.send(http.MethodGet, path, "", "Authorization", "")
		policy := got.header.Get("Content-Security-Policy")
		if got.status != http.StatusOK || got.header.Get("Content-Type") != want || got.text == "" || got.header.Get("Etag") == "" && !strings.Contains(path, "swagger") {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, got.header)
		}
		zipped := on.send(http.MethodGet, path, "", "Accept-Encoding", "gzip")
		if encoding := zipped.header.Get("Content-Encoding"); zipped.status != http.StatusOK || zipped.header.Get("Etag") == "" || (encoding == "gzip") != strings.Contains(path, "swagger") {
			t.Errorf("%s compressed: %d %v", path, zipped.status, zipped.header)
		}
		if post := on.send(http.MethodPost, path, ""); post.status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d", path, post.status)
		}
	}
	// The page's own calls are those of no other origin, and those of others are refused as ever.
	same := []string{"Origin", "http://" + on.at.HTTP, "Sec-Fetch-Site", "same-origin", "Authorization", "Bearer " + ordersToken}
	if got := on.grant(byID, same...); got.status != http.StatusOK {
		t.Errorf("a call of the page gets %d %s", got.status, got.text)
	}
	if got := on.grant(byID, "Origin", "https://evil.example", "Authorization", "Bearer "+ordersToken); got.status != http.StatusForbidden {
		t.Errorf("a call of another page gets %d %s", got.status, got.text)
	}
}
