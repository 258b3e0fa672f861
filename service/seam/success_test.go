package seam

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

// TestSuccess shows which 2xx responses are a success of which endpoint. Any other is an invalid response, whose outcome
// is unknown but for what changes nothing.
func TestSuccess(t *testing.T) {
	const one, many, granted, done = "create,get,get_or_create", "list", "grant_access", "revoke,delete"
	for _, test := range []struct {
		status int
		body   string
		good   []string // The endpoints of which it is a success.
	}{
		{200, `{"client_session":{"client_session_id":"c","token":"t"},"ok":true}`, []string{one, granted, done}},
		{200, `{"client_session":{"client_session_id":"c","token":"t"}}`, []string{one, granted}},
		{200, `{"client_session":{"client_session_id":"c"},"ok":true}`, []string{granted, done}},
		{200, `{"client_session":{"token":"t"},"ok":true}`, []string{granted, done}},
		{200, `{"client_session":{"client_session_id":5,"token":"t"},"ok":true}`, []string{granted, done}},
		{200, `{"client_session":null,"ok":true}`, []string{granted, done}},
		{200, `{"client_session":"c","ok":true}`, []string{granted, done}},
		{200, `{"client_sessions":[],"ok":true}`, []string{many, granted, done}},
		{200, `{"client_sessions":[{"client_session_id":"c"}]}`, []string{many}},
		{200, `{"client_sessions":null,"ok":true}`, []string{granted, done}},
		{200, `{"client_sessions":{},"ok":true}`, []string{granted, done}},
		{200, `{"ok":true}`, []string{granted, done}},
		{200, `{}`, []string{granted}},
		{200, `{"ok":false}`, nil},
		{200, `{"client_session":{"client_session_id":"c","token":"t"},"client_sessions":[],"ok":false}`, nil},
		{200, `{"ok":"true"}`, nil},
		{200, `{"status":"maintenance"}`, nil},
		{200, `{"error":{"type":"invalid_input","message":"m"},"ok":false}`, nil},
		{200, `{"client_session":{"client_session_id":"c","token":"t"},"client_sessions":[],"error":{},"ok":true}`, nil},
		{200, `null`, nil},
		{200, `[]`, nil},
		{200, `true`, nil},
		{200, ``, nil},
		{201, ``, nil},
		{204, ``, []string{granted, done}},
	} {
		for _, at := range append(endpoints(), CreateOrGet(true)) {
			t.Run(fmt.Sprintf("%d %s %s %s", test.status, test.body, at.Method, at.Path), func(t *testing.T) {
				inBubble(t, responding(test.status, test.body), func(t *testing.T, b *bubble) {
					_, _, err := send(t.Context(), b.Client, Call{Endpoint: at, CallerRetries: true})
					good := slices.Contains(strings.Split(strings.Join(test.good, ","), ","), path.Base(at.Path))
					if good != (err == nil) {
						t.Fatalf("error is %v", err)
					}
					if good {
						return
					}
					wantError(t, err, "upstream_response_invalid", codes.Internal)
					if reads := at.Semantics == Safe; err.OutcomeUnknown == reads {
						t.Errorf("the outcome is unknown: %t", err.OutcomeUnknown)
					}
				})
			})
		}
	}
}

// TestServiceCredentialInSuccess shows that a response with the service credential is no success, and that a
// caller's own may be in one: its session's token is.
func TestServiceCredentialInSuccess(t *testing.T) {
	const key = "seam_secretkey0123456789"
	body := `{"client_session":{"client_session_id":"c","token":"` + key + `"},"ok":true}`
	inBubble(t, responding(200, body), func(t *testing.T, b *bubble) {
		get := Call{Endpoint: Get(), Header: http.Header{"Authorization": {"Bearer " + key}}, CallerRetries: true}
		if _, _, err := send(t.Context(), b.Client, get); err != nil {
			t.Errorf("a caller's own: %v", err)
		}
		get.ServiceCredential = true
		_, _, err := send(t.Context(), b.Client, get)
		wantError(t, err, "upstream_response_invalid", codes.Internal)
		if strings.Contains(fmt.Sprint(err, err.Cause), key) {
			t.Errorf("the error has the key: %v", err.Cause)
		}
	})
}
