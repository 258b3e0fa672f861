package seamjson_test

import (
	"strings"
	"testing"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// A response with many sessions is decoded and encoded like one with one.
func TestUnmarshalResponseOfList(t *testing.T) {
	codec := newCodec(t)
	one, _, _ := strings.Cut(strings.TrimPrefix(fullResponse, `{"client_session":`), `,"ok":true}`)
	text := `{"client_sessions":[` + one + `,{"token":"t"}],"ok":true}`
	got := &clientsessionv1.ListResponse{}
	envelope, err := codec.UnmarshalResponse([]byte(text), got)
	if err != nil || !envelope.Sessions || !envelope.OK {
		t.Fatalf("%s: %+v, %v", text, envelope, err)
	}
	wantEqual(t, got, &clientsessionv1.ListResponse{ClientSessions: []*session{fullSession(), {Token: "t"}}, Ok: true})
	for text, want := range map[string]bool{
		`{"client_sessions":[]}`: true, `{"client_sessions":null}`: false, `{"ok":true}`: false, `{"client_sessions":{"0":{}}}`: false,
	} {
		if envelope, err := codec.UnmarshalResponse([]byte(text), &clientsessionv1.ListResponse{}); err != nil || envelope.Sessions != want {
			t.Errorf("%s: %+v, %v", text, envelope, err)
		}
	}
	for text, want := range map[string]string{
		`{"client_sessions":[{"token":"t"},null]}`:               "client_sessions: expected object, found null",
		`{"client_sessions":[{"token":"t"},["` + secret + `"]]}`: "client_sessions: expected object, found array",
		`{"client_sessions":[{"token":"` + secret:                "client_sessions: token: the JSON ends early, at byte 42",
	} {
		_, err := codec.UnmarshalResponse([]byte(text), &clientsessionv1.ListResponse{})
		if err == nil || err.Error() != want {
			t.Errorf("%s: error is %v, want %s", text, err, want)
		}
	}
}
