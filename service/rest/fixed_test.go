package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/gen/openapi"
	"github.com/clientsession/client-session-service/service/rest"
)

// TestFixedFiles shows how the OpenAPI document and the API page are served: to anybody without a credential, to GET
// and HEAD alone, and to no page of another origin. They never become a call. The API page is there where it is asked
// for, and allows nothing but itself; the suite in a browser shows that it works. A cache may keep a file, but has to
// ask whether it is still the same.
func TestFixedFiles(t *testing.T) {
	t.Parallel()
	documents := map[string][]byte{"/openapi.json": openapi.JSON, "/openapi.yaml": openapi.YAML}
	off := start(t)
	on := start(t, func(face *rest.Config) { face.APIDocs, face.ServiceCredential = true, true })
	for path, contentType := range map[string]string{
		"/openapi.json": "application/json", "/openapi.yaml": "application/yaml",
		"/docs": "text/html; charset=utf-8", "/docs/start.js": "text/javascript; charset=utf-8",
		"/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8", "/docs/swagger-ui.css": "text/css; charset=utf-8",
		"/docs/favicon.png": "image/png",
	} {
		ofPage, zipped := strings.HasPrefix(path, "/docs"), strings.Contains(path, "swagger")
		if got := off.send(http.MethodGet, path, ""); (got.status == http.StatusNotFound) != ofPage {
			t.Errorf("%s gets %d where the API page is off", path, got.status)
		}
		got := on.send(http.MethodGet, path, "", "Authorization", "", "Accept-Encoding", "gzip")
		policy, etag := got.header.Get("Content-Security-Policy"), got.header.Get("Etag")
		if got.status != http.StatusOK || got.text == "" || etag == "" || got.header.Get("Content-Type") != contentType ||
			got.header.Get("Cache-Control") != "no-cache" || got.header.Get("X-Content-Type-Options") != "nosniff" ||
			(got.header.Get("Content-Encoding") == "gzip") != zipped {
			t.Errorf("%s: %d %v", path, got.status, got.header)
		}
		strict := strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") && !strings.Contains(policy, "unsafe")
		if ofPage && !strict {
			t.Errorf("%s has the policy %s", path, policy)
		}
		// What is decompressed on the way is other bytes, without a tag.
		plain := on.send(http.MethodGet, path, "")
		if (plain.text != got.text) != zipped || plain.text == "" || (plain.header.Get("Etag") != etag) != zipped {
			t.Errorf("%s decompressed: %d %v", path, plain.status, plain.header)
		}
		if document := documents[path]; document != nil && plain.text != string(document) {
			t.Errorf("%s is another document: %.100s", path, plain.text)
		}
		for status, request := range map[int][]string{
			http.StatusOK:               {http.MethodHead, "Accept", "*/*"},
			http.StatusNotModified:      {http.MethodGet, "If-None-Match", etag},
			http.StatusForbidden:        {http.MethodGet, "Origin", evil},
			http.StatusMethodNotAllowed: {http.MethodPost, "Accept", "*/*"},
		} {
			got := on.send(request[0], path, "", append(request[1:], "Accept-Encoding", "gzip")...)
			if got.status != status || (got.text == "") != (status < http.StatusBadRequest) {
				t.Errorf("%s with %q gets %d %.20s", path, request, got.status, got.text)
			}
		}
	}
	// A slash at the end leads to the page, behind a prefix too.
	moved := on.send(http.MethodGet, "/docs/", "", "Authorization", "")
	if moved.status != http.StatusPermanentRedirect || moved.header.Get("Location") != "../docs" ||
		moved.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("/docs/ gets %d %v", moved.status, moved.header)
	}
	if got := off.send(http.MethodGet, "/docs/", ""); got.status != http.StatusNotFound {
		t.Errorf("/docs/ gets %d where the API page is off", got.status)
	}
	// The page's own calls are those of no other origin.
	if got := on.grant(byID, "Origin", on.url.String(), "Sec-Fetch-Site", "same-origin"); got.status != http.StatusOK {
		t.Errorf("a call of the page gets %d %s", got.status, got.text)
	}
	on.stop()
	if calls := strings.Count(on.log.String(), `"msg":"call"`); calls != 1 {
		t.Errorf("%d calls are in the log: %s", calls, &on.log)
	}
}
