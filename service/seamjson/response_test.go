package seamjson

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestUnmarshalResponseAccepts(t *testing.T) {
	of := func(s *session) *response { return &response{ClientSession: s} }
	one, _, _ := strings.Cut(strings.TrimPrefix(fullResponse, `{"client_session":`), `,"ok":true}`)
	for name, test := range map[string]struct {
		text string
		want proto.Message
	}{
		"nothing":             {`{}`, &response{}},
		"everything":          {fullResponse, &response{ClientSession: fullSession(), Ok: true}},
		"space around":        {" \n" + fullResponse + "\n ", &response{ClientSession: fullSession(), Ok: true}},
		"null session":        {`{"client_session":null,"ok":true}`, &response{Ok: true}},
		"empty session":       {`{"client_session":{}}`, of(&session{})},
		"null everywhere":     {`{"client_session":{"token":null,"created_at":null,"device_count":null,"connect_webview_ids":null,"user_identifier_key":null},"ok":null}`, of(&session{})},
		"empty lists":         {`{"client_session":{"connect_webview_ids":[]}}`, of(&session{})},
		"unknown members":     {`{"a":[{"ok":"x"}],"client_session":{"b":{"token":5},"token":"t","c":null},"d":1e999}`, of(&session{Token: "t", AdditionalMembers: additional(`{"b":{"token":5},"c":null}`)})},
		"camel case unknown":  {`{"clientSession":5}`, &response{}},
		"empty optional":      {`{"client_session":{"customer_key":""}}`, of(&session{CustomerKey: new("")})},
		"offset":              {`{"client_session":{"created_at":"2025-06-15T18:54:17.946+02:00"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17.946Z")})},
		"nanoseconds":         {`{"client_session":{"created_at":"2025-06-15T16:54:17.946123789Z"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17.946123789Z")})},
		"no fraction":         {`{"client_session":{"created_at":"2025-06-15T16:54:17Z"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17Z")})},
		"count with a point":  {`{"client_session":{"device_count":3.0}}`, of(&session{DeviceCount: 3})},
		"greatest count":      {`{"client_session":{"device_count":2147483647}}`, of(&session{DeviceCount: 2147483647})},
		"negative count":      {`{"client_session":{"device_count":-2147483648}}`, of(&session{DeviceCount: -2147483648})},
		"text not UTF-8":      {"{\"client_session\":{\"token\":\"a\xffb\"}}", of(&session{Token: "a\ufffdb"})},
		"half a surrogate":    {`{"client_session":{"token":"a\ud83db"}}`, of(&session{Token: "a\ufffdb"})},
		"name not UTF-8":      {"{\"\xff\":1,\"ok\":true}", &response{Ok: true}},
		"doubled, last wins":  {`{"ok":true,"ok":false,"client_session":{"token":"a"},"client_session":{"workspace_id":"w"}}`, of(&session{WorkspaceId: "w"})},
		"many sessions":       {`{"client_sessions":[` + one + `,{"token":"t"}],"ok":true}`, &listResponse{ClientSessions: []*session{fullSession(), {Token: "t"}}, Ok: true}},
		"picoseconds are cut": {`{"client_session":{"created_at":"2025-06-15T16:54:17.123456789012Z"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17.123456789Z")})},
		"doubled list":        {`{"client_session":{"connect_webview_ids":["a"],"connect_webview_ids":["b"]}}`, of(&session{ConnectWebviewIds: []string{"b"}})},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.want.ProtoReflect().New().Interface()
			if _, err := readResponse(t, test.text, got); err != nil {
				t.Fatal(err)
			}
			wantEqual(t, got, test.want)
			// What was read is sent on as protobuf, which refuses text that is not UTF-8.
			if _, err := proto.Marshal(got); err != nil {
				t.Errorf("the message cannot be sent on: %v", err)
			}
		})
	}
}

func TestUnmarshalResponseRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a list":               {`["SECRET"]`, "expected an object, found array"},
		"null":                 {`null`, "expected an object, found null"},
		"nothing at all":       {``, "the JSON ends early"},
		"HTML":                 {`<html>SECRET</html>`, "not JSON at byte 0"},
		"ends in the session":  {`{"client_session":{"token":"SECRET"`, "client_session: the JSON ends early, at byte 41"},
		"ends in a text":       {`{"client_session":{"token":"SECRET`, "client_session: token: the JSON ends early, at byte 40"},
		"ends in what is new":  {`{"new":{"SECRET":[`, "the JSON ends early, at byte 24"},
		"malformed value":      {`{"client_session":{"token":SECRET}}`, "client_session: token: not JSON at byte 27"},
		"comma before the end": {`{"ok":true,}`, "not JSON at byte 10"},
		"a second object":      {`{"ok":true}{"SECRET":1}`, "there is more after the JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readResponse(t, test.text, &response{})
			wantError(t, err, test.want)
		})
	}
	for text, want := range map[string]string{
		`{"client_sessions":[{"token":"t"},null]}`:       "client_sessions: expected object, found null",
		`{"client_sessions":[{"token":"t"},["SECRET"]]}`: "client_sessions: expected object, found array",
		`{"client_sessions":[{"token":"SECRET`:           "client_sessions: token: the JSON ends early, at byte 42",
	} {
		_, err := readResponse(t, text, &listResponse{})
		wantError(t, err, want)
	}
	// A truncated response must not give half of a session: the caller would store a grant that was never made.
	for end := range len(fullResponse) {
		if _, err := readResponse(t, fullResponse[:end], &response{}); err == nil {
			t.Errorf("the first %d bytes were accepted as a whole response", end)
		}
	}
}

// A member of an undocumented type is left unset and reported: the request has been applied, and callers can go on
// without it.
func TestUnmarshalResponseSkipsWrongTypes(t *testing.T) {
	for member, test := range map[string]struct {
		want    *session
		skipped []string
	}{
		`"device_count":1.5`:                          {&session{DeviceCount: 1}, nil},
		`"device_count":"4"`:                          {&session{DeviceCount: 4}, nil},
		`"device_count":3e9`:                          {&session{}, []string{"device_count"}},
		`"device_count":1e999`:                        {&session{}, []string{"device_count"}},
		`"device_count":"NaN"`:                        {&session{}, []string{"device_count"}},
		`"device_count":[]`:                           {&session{}, []string{"device_count"}},
		`"created_at":"2025-06-15T18:54:17+0200"`:     {&session{CreatedAt: stamp("2025-06-15T16:54:17Z")}, nil},
		`"created_at":"2025-06-15T18:54:17+02"`:       {&session{CreatedAt: stamp("2025-06-15T16:54:17Z")}, nil},
		`"created_at":"2025-06-15T18:54:17+02:00:30"`: {&session{CreatedAt: stamp("2025-06-15T16:53:47Z")}, nil},
		`"created_at":1750006457`:                     {&session{}, []string{"created_at"}},
		`"created_at":"2025-06-15T16:54:17"`:          {&session{}, []string{"created_at"}},
		`"created_at":"0000-01-01T00:00:00Z"`:         {&session{}, []string{"created_at"}},
		`"expires_at":"9999-12-31T23:59:59-01:00"`:    {&session{}, []string{"expires_at"}},
		`"token":5`:                                    {&session{}, []string{"token"}},
		`"token":{"a":[1]}`:                            {&session{}, []string{"token"}},
		`"connect_webview_ids":"x"`:                    {&session{}, []string{"connect_webview_ids"}},
		`"connect_webview_ids":["a",null,1,{},"b"]`:    {&session{ConnectWebviewIds: []string{"a", "b"}}, []string{"connect_webview_ids"}},
		`"token":5,"workspace_id":6,"token":[],"a":[]`: {&session{AdditionalMembers: additional(`{"a":[]}`)}, []string{"token", "workspace_id"}},
	} {
		t.Run(member, func(t *testing.T) {
			got := &response{}
			envelope, err := readResponse(t, `{"client_session":{`+member+`},"ok":true}`, got)
			if err != nil {
				t.Fatal(err)
			}
			wantEqual(t, got, &response{ClientSession: test.want, Ok: true})
			if !slices.Equal(envelope.Skipped, test.skipped) || !envelope.OK || !envelope.Session {
				t.Errorf("envelope is %+v", envelope)
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	for text, want := range map[string]Envelope{
		`{}`:                               {Empty: true},
		`{"ok":true}`:                      {OK: true},
		`{"ok":false}`:                     {NotOK: true},
		`{"ok":false,"ok":true}`:           {OK: true, NotOK: true},
		`{"ok":1}`:                         {Skipped: []string{"ok"}},
		`{"ok":null}`:                      {},
		`{"error":{"type":"x"}}`:           {Error: true},
		`{"error":null}`:                   {},
		`{"client_session":{}}`:            {Session: true},
		`{"client_session":null}`:          {},
		`{"client_session":"x"}`:           {Skipped: []string{"client_session"}},
		`{"client_sessions":[],"ok":true}`: {OK: true},
		`{"status":"maintenance"}`:         {},
	} {
		got, err := readResponse(t, text, &response{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]Envelope{
		`{"client_sessions":[]}`:         {Sessions: true},
		`{"client_sessions":null}`:       {},
		`{"ok":true}`:                    {OK: true},
		`{"client_sessions":{"0":{}}}`:   {Skipped: []string{"client_sessions"}},
		`{"client_sessions":[{}],"x":1}`: {Sessions: true},
	} {
		got, err := readResponse(t, text, &listResponse{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// Unknown members are passed on as far as a Struct can represent them and other languages can read them.
func TestAdditionalMembers(t *testing.T) {
	nested := func(depth int) string { return strings.Repeat(`[`, depth) + strings.Repeat(`]`, depth) }
	for members, want := range map[string]string{
		`"a":1,"b":"x","c":true,"d":null,"e":[1,{"f":2.5}]`: `{"a":1,"b":"x","c":true,"d":null,"e":[1,{"f":2.5}]}`,
		`"a":` + nested(32):                         `{"a":` + nested(32) + `}`,
		`"a":` + nested(33):                         `{}`,
		`"a":` + nested(9000) + `,"b":1`:            `{"b":1}`,
		`"a":1e999,"b":1`:                           `{"b":1}`,
		`"\u0061":1`:                                `{"a":1}`,
		`"a\ud83db":1`:                              `{"a\ufffdb":1}`,
		`"a":"` + strings.Repeat("x", 70_000) + `"`: `{}`,
		`"additional_members":{"a":1}`:              `{"additional_members":{"a":1}}`,
	} {
		got := &response{}
		if _, err := readResponse(t, `{"client_session":{`+members+`}}`, got); err != nil {
			t.Errorf("%.100s: %v", members, err)
			continue
		}
		expected := additional(want)
		if len(expected.GetFields()) == 0 {
			expected = nil
		}
		if !proto.Equal(got.GetClientSession().GetAdditionalMembers(), expected) {
			t.Errorf("%.100s: got %v, want %s", members, got, want)
		}
	}
}

func additional(text string) *structpb.Struct {
	s := &structpb.Struct{}
	if err := protojson.Unmarshal([]byte(text), s); err != nil {
		panic(err)
	}
	return s
}
