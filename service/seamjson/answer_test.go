package seamjson_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

func TestReadAnswerAccepts(t *testing.T) {
	of := func(s *session) *response { return &response{ClientSession: s} }
	for name, test := range map[string]struct {
		text string
		want *response
	}{
		"nothing":             {`{}`, &response{}},
		"ok alone":            {`{"ok":true}`, &response{Ok: true}},
		"not ok":              {`{"ok":false}`, &response{}},
		"everything":          {fullAnswer, &response{ClientSession: fullSession(), Ok: true}},
		"space around":        {" \n" + fullAnswer + "\n ", &response{ClientSession: fullSession(), Ok: true}},
		"null session":        {`{"client_session":null,"ok":true}`, &response{Ok: true}},
		"empty session":       {`{"client_session":{}}`, of(&session{})},
		"null everywhere":     {`{"client_session":{"token":null,"created_at":null,"device_count":null,"connect_webview_ids":null,"user_identifier_key":null},"ok":null}`, of(&session{})},
		"empty lists":         {`{"client_session":{"connect_webview_ids":[]}}`, of(&session{})},
		"unknown members":     {`{"a":[{"ok":"x"}],"client_session":{"b":{"token":5},"token":"t","c":null},"d":1e999}`, of(&session{Token: "t"})},
		"camel case unknown":  {`{"clientSession":5}`, &response{}},
		"empty optional":      {`{"client_session":{"customer_key":""}}`, of(&session{CustomerKey: new("")})},
		"offset":              {`{"client_session":{"created_at":"2025-06-15T18:54:17.946+02:00"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17.946Z")})},
		"microseconds":        {`{"client_session":{"created_at":"2025-06-15T16:54:17.946123Z"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17.946123Z")})},
		"nanoseconds":         {`{"client_session":{"created_at":"2025-06-15T16:54:17.946123789Z"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17.946123789Z")})},
		"no fraction":         {`{"client_session":{"created_at":"2025-06-15T16:54:17Z"}}`, of(&session{CreatedAt: stamp("2025-06-15T16:54:17Z")})},
		"count with a point":  {`{"client_session":{"device_count":3.0}}`, of(&session{DeviceCount: 3})},
		"count with exponent": {`{"client_session":{"device_count":1e2}}`, of(&session{DeviceCount: 100})},
		"greatest count":      {`{"client_session":{"device_count":2147483647}}`, of(&session{DeviceCount: 2147483647})},
		"negative count":      {`{"client_session":{"device_count":-2147483648}}`, of(&session{DeviceCount: -2147483648})},
		"text not UTF-8":      {"{\"client_session\":{\"token\":\"a\xffb\"}}", of(&session{Token: "a\ufffdb"})},
		"half a surrogate":    {`{"client_session":{"token":"a\ud83db"}}`, of(&session{Token: "a\ufffdb"})},
		"name not UTF-8":      {"{\"\xff\":1,\"ok\":true}", &response{Ok: true}},
		"doubled, last wins":  {`{"ok":true,"ok":false,"client_session":{"token":"a"},"client_session":{"workspace_id":"w"}}`, of(&session{WorkspaceId: "w"})},
		"doubled list":        {`{"client_session":{"connect_webview_ids":["a"],"connect_webview_ids":["b"]}}`, of(&session{ConnectWebviewIds: []string{"b"}})},
	} {
		t.Run(name, func(t *testing.T) {
			got := &response{}
			if err := newCodec(t).ReadAnswer([]byte(test.text), got); err != nil {
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

func TestReadAnswerRefuses(t *testing.T) {
	in := func(member string) string { return `{"client_session":{` + member + `},"ok":true}` }
	for name, test := range map[string]struct{ text, want string }{
		"fraction of a device":  {in(`"device_count":1.5`), "client_session: device_count: expected an integer of 32 bits"},
		"count beyond doubles":  {in(`"device_count":1e999`), "client_session: device_count: expected an integer of 32 bits"},
		"huge count":            {in(`"device_count":1e300`), "client_session: device_count: expected an integer of 32 bits"},
		"count over 32 bits":    {in(`"device_count":2147483648`), "client_session: device_count: expected an integer of 32 bits"},
		"count as text":         {in(`"device_count":"3"`), "client_session: device_count: expected number, found string"},
		"count NaN as text":     {in(`"device_count":"NaN"`), "client_session: device_count: expected number, found string"},
		"time as number":        {in(`"created_at":1750006457`), "client_session: created_at: expected string, found number"},
		"time with a space":     {in(`"created_at":"2025-06-15 SECRET"`), "client_session: created_at: expected a date and time of RFC 3339"},
		"no time":               {in(`"created_at":""`), "client_session: created_at: expected a date and time of RFC 3339"},
		"time without offset":   {in(`"expires_at":"2025-06-15T16:54:17"`), "client_session: expires_at: expected a date and time of RFC 3339"},
		"date that is not":      {in(`"expires_at":"2025-02-30T00:00:00Z"`), "client_session: expires_at: expected a date and time of RFC 3339"},
		"year before protobuf":  {in(`"expires_at":"0000-01-01T00:00:00Z"`), "client_session: expires_at: expected a date and time of RFC 3339"},
		"year after protobuf":   {in(`"expires_at":"9999-12-31T23:59:59-01:00"`), "client_session: expires_at: expected a date and time of RFC 3339"},
		"ok as text":            {`{"ok":"SECRET"}`, "ok: expected boolean, found string"},
		"ok as number":          {`{"ok":1}`, "ok: expected boolean, found number"},
		"session as text":       {`{"client_session":"SECRET"}`, "client_session: expected object, found string"},
		"session as list":       {`{"client_session":["SECRET"]}`, "client_session: expected object, found array"},
		"text as number":        {in(`"token":5`), "client_session: token: expected string, found number"},
		"text as object":        {in(`"token":{"SECRET":"SECRET"}`), "client_session: token: expected string, found object"},
		"list as text":          {in(`"connect_webview_ids":"SECRET"`), "client_session: connect_webview_ids: expected an array, found string"},
		"number in a list":      {in(`"connect_webview_ids":["SECRET",1]`), "client_session: connect_webview_ids: expected string, found number"},
		"null in a list":        {in(`"connect_webview_ids":[null]`), "client_session: connect_webview_ids: expected string, found null"},
		"a list":                {`["SECRET"]`, "expected an object, found array"},
		"a text":                {`"SECRET"`, "expected an object, found string"},
		"null":                  {`null`, "expected an object, found null"},
		"nothing at all":        {``, "the JSON ends early"},
		"HTML":                  {`<html>SECRET</html>`, "not JSON at byte 0"},
		"ends in the session":   {`{"client_session":{"token":"SECRET"`, "client_session: the JSON ends early, at byte 41"},
		"ends in a text":        {`{"client_session":{"token":"SECRET`, "client_session: token: the JSON ends early, at byte 40"},
		"ends in a list":        {`{"client_session":{"connect_webview_ids":["SECRET"`, "client_session: connect_webview_ids: the JSON ends early, at byte 56"},
		"ends in what is new":   {`{"new":{"SECRET":[`, "the JSON ends early, at byte 24"},
		"broken value":          {`{"client_session":{"token":SECRET}}`, "client_session: token: not JSON at byte 27"},
		"no value in a list":    {`{"client_session":{"connect_webview_ids":[}}`, "client_session: connect_webview_ids: expected string, found nothing"},
		"comma before the end":  {`{"ok":true,}`, "not JSON at byte 10"},
		"a second object":       {`{"ok":true}{"SECRET":1}`, "there is more after the JSON object"},
		"words behind":          {`{"ok":true} SECRET`, "there is more after the JSON object"},
		"a stray bracket":       {`{"ok":true}]`, "there is more after the JSON object"},
		"compressed, not asked": {"\x1f\x8b\x08SECRET", "not JSON at byte 0"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(test.text, "SECRET", secret)
			err := newCodec(t).ReadAnswer([]byte(text), &response{})
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != test.want {
				t.Errorf("error is %q, want %q", err, test.want)
			}
			wantNoSecret(t, err.Error())
		})
	}
}

// Cutting an answer anywhere must not give half of a session: the caller would store a grant that was never made.
func TestReadAnswerRefusesEveryPrefix(t *testing.T) {
	codec := newCodec(t)
	for end := range len(fullAnswer) {
		if err := codec.ReadAnswer([]byte(fullAnswer[:end]), &response{}); err == nil {
			t.Errorf("the first %d bytes were read as a whole answer", end)
		}
	}
}
