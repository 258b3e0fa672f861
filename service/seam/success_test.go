package seam_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// rpc is an RPC with its endpoint and its response.
type rpc struct {
	name     string
	endpoint seam.Endpoint
	response func() proto.Message
}

func rpcs() []rpc {
	return []rpc{
		{"Create", seam.Create(), func() proto.Message { return &clientsessionv1.CreateResponse{} }},
		{"Create or return", seam.CreateOrGet(true), func() proto.Message { return &clientsessionv1.CreateResponse{} }},
		{"Get", seam.Get(), func() proto.Message { return &clientsessionv1.GetResponse{} }},
		{"GetOrCreate", seam.GetOrCreate(true), func() proto.Message { return &clientsessionv1.GetOrCreateResponse{} }},
		{"List", seam.List(), func() proto.Message { return &clientsessionv1.ListResponse{} }},
		{"GrantAccess", seam.GrantAccess(), func() proto.Message { return &clientsessionv1.GrantAccessResponse{} }},
		{"Revoke", seam.Revoke(), func() proto.Message { return &clientsessionv1.RevokeResponse{} }},
		{"Delete", seam.Delete(), func() proto.Message { return &clientsessionv1.DeleteResponse{} }},
	}
}

// TestSuccess shows which 2xx responses are a success of which RPC. Any other is an invalid response, whose outcome is
// unknown but for what changes nothing.
func TestSuccess(t *testing.T) {
	t.Parallel()
	const one, many, granted, done = "Create,Create or return,Get,GetOrCreate", "List", "GrantAccess", "Revoke,Delete"
	for _, test := range []struct {
		status int
		body   string
		good   []string // The RPCs of which it is a success.
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
		for _, rpc := range rpcs() {
			t.Run(fmt.Sprintf("%d %s %s", test.status, test.body, rpc.name), func(t *testing.T) {
				u := serve(t, responding(test.status, test.body))
				_, err := newClient(t, u.URL).Do(t.Context(), &seam.Call{
					Endpoint: rpc.endpoint, Header: authorized(), CallerRetries: true, In: &grantRequest{}, Out: rpc.response(),
				})
				good := strings.Contains(","+strings.Join(test.good, ",")+",", ","+rpc.name+",")
				if good != (err == nil) {
					t.Fatalf("error is %v", err)
				}
				if good {
					return
				}
				e := seamerr.From(err)
				wantError(t, e, "upstream_response_invalid", codes.Internal)
				if reads := rpc.endpoint.Semantics == seam.Safe; e.OutcomeUnknown == reads {
					t.Errorf("the outcome is unknown: %t", e.OutcomeUnknown)
				}
			})
		}
	}
}

// TestServiceCredentialInSuccess shows that a response with the service credential is no success, and that a
// caller's own may be in one: its session's token is.
func TestServiceCredentialInSuccess(t *testing.T) {
	const key = "seam_secretkey0123456789"
	u := serve(t, responding(200, `{"client_session":{"client_session_id":"c","token":"`+key+`"},"ok":true}`))
	for own, want := range map[bool]codes.Code{true: codes.Internal, false: codes.OK} {
		_, err := newClient(t, u.URL).Do(t.Context(), &seam.Call{
			Endpoint: seam.Get(), Header: http.Header{"Authorization": {"Bearer " + key}}, ServiceCredential: own,
			CallerRetries: true, In: &grantRequest{}, Out: &grantResponse{},
		})
		got := codes.OK
		if err != nil {
			got = seamerr.From(err).GRPCCode()
			if strings.Contains(fmt.Sprint(err, seamerr.From(err).Cause), key) {
				t.Errorf("the error has the key: %v", seamerr.From(err).Cause)
			}
		}
		if got != want {
			t.Errorf("own %t: %v", own, err)
		}
	}
}

// TestProxyAuthentication shows that a proxy that wants the service to authenticate is the operator's concern.
func TestProxyAuthentication(t *testing.T) {
	u := serve(t, responding(407, `{"error":{"type":"unauthorized","message":"m"}}`, "proxy-authenticate", "Basic"))
	_, _, err := grantOnce(t.Context(), t, newClient(t, u.URL))
	wantError(t, err, "upstream_proxy_refused", codes.Internal)
	if !err.Local || err.HTTPStatus != 500 || err.Cause == nil || err.OutcomeUnknown {
		t.Errorf("error is %+v", err)
	}
}

// TestTextsFromOutside shows that what the other end writes is not quoted in the cause of an error, and that the cause
// is short whatever it writes.
func TestTextsFromOutside(t *testing.T) {
	t.Parallel()
	const token = "seam_cst1secret0123456789"
	long := strings.Repeat("x", 50_000)
	for name, reply := range map[string]string{
		"no HTTP":                   token + "\r\n\r\n",
		"no HTTP, long":             long + token,
		"status that is none":       "HTTP/1.1 " + token + " OK\r\n\r\n",
		"header without a colon":    "HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n",
		"header with a space":       "HTTP/1.1 200 OK\r\n" + token + " : x\r\n\r\n",
		"length that is none":       "HTTP/1.1 200 OK\r\nContent-Length: " + token + "\r\n\r\n",
		"coding that is none":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + token + "\r\n\r\n",
		"chunk that is none":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + token + "\r\n",
		"JSON that is none":         "HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{" + token,
		"redirect":                  "HTTP/1.1 302 Found\r\nLocation: https://" + token + "\r\nContent-Length: 0\r\n\r\n",
		"request id":                "HTTP/1.1 404 Not Found\r\nSeam-Request-Id: " + token + "\r\nContent-Length: 0\r\n\r\n",
		"content type":              "HTTP/1.1 404 Not Found\r\nContent-Type: " + token + "\r\nContent-Length: 1\r\n\r\nx",
		"reason phrase":             "HTTP/1.1 500 " + token + "\r\nContent-Length: 0\r\n\r\n",
		"error type":                "HTTP/1.1 500 x\r\nContent-Type: application/json\r\nContent-Length: 71\r\n\r\n" + `{"error":{"type":"` + token + `","message":"m"},"ok":false}`,
		"unexpected other protocol": "HTTP/1.1 101 Switching\r\nUpgrade: " + token + "\r\nConnection: upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			u := seamtest.New(t, seamtest.Fault{Request: seamtest.Say(reply, seamtest.Close)})
			response, err := newClient(t, u.URL).Do(context.Background(), &seam.Call{
				Endpoint: seam.GrantAccess(), Header: authorized(), CallerRetries: true, In: &grantRequest{}, Out: &grantResponse{},
			})
			if err == nil {
				t.Fatal("no error")
			}
			e := seamerr.From(err)
			text := fmt.Sprint(e, e.Cause, e.Type, e.SeamRequestID, e.GRPCStatus().Proto(), response.SeamRequestID)
			if strings.Contains(text, token) || strings.Contains(text, token[:20]) {
				t.Errorf("the token is quoted: %.1000s", text)
			}
			if e.Cause != nil && len(e.Cause.Error()) > 400 {
				t.Errorf("a cause of %d bytes", len(e.Cause.Error()))
			}
		})
	}
}
