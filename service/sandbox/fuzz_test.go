package sandbox_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// FuzzInput sends any input to any endpoint. Whatever it is, the response is a
// success or a 4xx, in a JSON envelope.
func FuzzInput(f *testing.F) {
	endpoints := []string{"create", "get", "get_or_create", "list", "grant_access", "revoke", "delete"}
	for i := range endpoints {
		f.Add(uint(i), "application/json", "_strict=true", `{"client_session_id":"3ada79d3-2848-4320-b2ef-a82e1e6dafac"}`)
	}
	f.Add(uint(3), "application/json", "connect_webview_id=&without_user_identifier_key=true", `{"user_identity_id":null}`)
	f.Add(uint(4), "", "connected_account_ids=a&connected_account_ids=%20", ``)
	f.Add(uint(0), "application/json", "", `{"user_identity_ids":["a",1e999],"expires_at":"2026-01-01T00:00:00Z","\ud800":[[{}]]}`)
	f.Add(uint(1), "text/plain; x", "%zz", `[`)

	s := sandbox.New(sandbox.Options{})
	f.Fuzz(func(t *testing.T, which uint, contentType, query, body string) {
		// Sessions that earlier inputs created would only slow down the list.
		s.Reset()
		r := httptest.NewRequest(http.MethodPost, "/client_sessions/"+endpoints[which%uint(len(endpoints))], strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var envelope struct {
			OK    *bool `json:"ok"`
			Error struct {
				Type    string `json:"type"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &envelope); err != nil || envelope.OK == nil {
			t.Fatalf("status %d, %v in %q", w.Code, err, w.Body)
		}
		switch {
		case w.Code == 200 && *envelope.OK:
		case w.Code >= 400 && w.Code < 500 && !*envelope.OK && envelope.Error.Type != "" && envelope.Error.Message != "":
		default:
			t.Errorf("status %d, body %s", w.Code, w.Body)
		}
	})
}
