package rest_test

import (
	"cmp"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestBodies shows that the body of a response is Seam's to the byte: members that Seam may add, those that are not of
// their documented type, which the log names, offsets, ids that are no UUIDs, and more than 4 MiB. So is the JSON of an
// error, of Seam or of what responds in its place. Any other error is its status alone.
func TestBodies(t *testing.T) {
	const json, charset = "application/json", "application/json; charset=utf-8"
	const problem, html = "application/problem+json", "text/html"
	const unknown = ` {"client_session":{"client_session_id":"no uuid","workspace_id":"w","api_key_id":"x",` +
		`"revoked_at":null,"created_at":"2026-01-02T03:04:05.123456+02:00","expires_at":"2027-01-02T03:04:05Z",` +
		`"token":"seam_cst1x","publishable_key":{"nested":[1,{"a":null}]},"user_identifier_key":null,` +
		`"device_count":3.0,"customer_key":"c","connect_webview_ids":["\u00fc"],"connected_account_ids":[],` +
		`"user_identity_ids":[]}, "ok":true,"warnings":[{"a":1.50}]}`
	const types = `{"client_session":{"client_session_id":"c","token":"t","device_count":"many",` +
		`"created_at":"yesterday","connect_webview_ids":["a",null]},"ok":true}`
	const failure = `{"ok":false,"error":{"message":"m","new":1.50,"data":["x"],"type":"some_error"},"more":{}}`
	const other = `{"message": "Forbidden"}`
	const envelope = `{"error":{"type":"client_session_not_found","message":"m"},"ok":false}`
	long := strings.Replace(unknown, `"c"`, `"`+strings.Repeat("c", 5<<20)+`"`, 1)
	for name, c := range map[string]struct {
		// What Seam responds with.
		seam sandbox.Fault
		// The response of the face, and what the log names.
		status                     int
		contentType, text, skipped string
	}{
		"unknown members": {sandbox.Fault{Status: 200, Body: unknown}, 200, json, unknown, ""},
		"members of other types": {
			sandbox.Fault{Status: 200, Body: types}, 200, json, types, "device_count,created_at,connect_webview_ids",
		},
		"a long session":         {sandbox.Fault{Status: 200, Body: long}, 200, json, long, ""},
		"success without a body": {sandbox.Fault{Status: 204}, 200, json, `{"ok":true}`, ""},
		"Seam's error, and more": {sandbox.Fault{Status: 400, Body: failure}, 400, json, failure, ""},
		"another API's":          {sandbox.Fault{Status: 403, Body: other}, 403, json, other, ""},
		"with a charset":         {sandbox.Fault{Status: 404, ContentType: charset, Body: other}, 404, charset, other, ""},
		"a problem":              {sandbox.Fault{Status: 400, ContentType: problem, Body: other}, 400, problem, other, ""},
		"an envelope as HTML":    {sandbox.Fault{Status: 404, ContentType: html, Body: envelope}, 404, "", "", ""},
		"HTML":                   {sandbox.Fault{Status: 403, ContentType: html, Body: "<html>"}, 403, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			c.seam.ContentType = cmp.Or(c.seam.ContentType, json)
			h.must(h.sandbox.Inject(c.seam))
			got := h.grant(byID)
			if got.status != c.status || got.header.Get("Content-Type") != c.contentType || got.text != c.text ||
				got.header.Get("Content-Length") != strconv.Itoa(len(c.text)) {
				t.Errorf("got %d %v %.500s", got.status, got.header, got.text)
			}
			h.stop()
			if c.skipped != "" && !strings.Contains(h.log.String(), `"skipped_members":"`+c.skipped+`"`) {
				t.Errorf("the log is %s", &h.log)
			}
		})
	}
}

// TestAnnouncedLength shows that a body that is announced to be too large is refused before any of it is there.
func TestAnnouncedLength(t *testing.T) {
	h := start(t)
	body, never := io.Pipe()
	defer never.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url.String()+grantPath, body)
	h.must(err)
	request.ContentLength = 1 << 20
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	got, err := h.client.Do(request)
	h.must(err)
	defer got.Body.Close()
	if got.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %s", got.Status)
	}
}
