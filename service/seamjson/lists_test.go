package seamjson_test

import (
	"testing"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
)

// An answer with many sessions is read and written like one with one.
func TestListAnswer(t *testing.T) {
	want := &clientsessionv1.ListResponse{ClientSessions: []*session{fullSession(), {Token: "t"}}, Ok: true}
	codec := newCodec(t)
	text, err := codec.AppendAnswer(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	got := &clientsessionv1.ListResponse{}
	if err := codec.ReadAnswer(text, got); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	wantEqual(t, got, want)
	empty, err := codec.AppendAnswer(nil, &clientsessionv1.ListResponse{Ok: true})
	if err != nil || string(empty) != `{"client_sessions":[],"ok":true}` {
		t.Errorf("an empty list is written as %s, error %v", empty, err)
	}
	for text, want := range map[string]string{
		`{"client_sessions":[{"token":"t"},null]}`:               "client_sessions: expected object, found null",
		`{"client_sessions":[{"token":"t"},["` + secret + `"]]}`: "client_sessions: expected object, found array",
		`{"client_sessions":[{"token":5}]}`:                      "client_sessions: token: expected string, found number",
		`{"client_sessions":{"0":{}}}`:                           "client_sessions: expected an array, found object",
		`{"client_sessions":[{"token":"` + secret:                "client_sessions: token: the JSON ends early, at byte 42",
	} {
		err := codec.ReadAnswer([]byte(text), &clientsessionv1.ListResponse{})
		if err == nil || err.Error() != want {
			t.Errorf("%s: error is %v, want %s", text, err, want)
		}
	}
}
