package seamjson_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/seamerr"
)

func violation(message string, path ...string) seamerr.FieldViolation {
	return seamerr.FieldViolation{Path: path, Message: message}
}

func TestUnmarshalRequestAccepts(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want *request
	}{
		"nothing":         {`{}`, &request{}},
		"no body":         {``, &request{}},
		"space around":    {" \r\n\t{ } \n", &request{}},
		"empty list":      {`{"connect_webview_ids":[],"connected_account_ids":[]}`, &request{}},
		"empty text":      {`{"client_session_id":""}`, &request{ClientSessionId: new("")}},
		"escaped name":    {`{"client\u005fsession_id":"c"}`, &request{ClientSessionId: new("c")}},
		"escaped value":   {`{"user_identifier_key":"\u0000\n\ud83d\ude00"}`, &request{UserIdentifierKey: new("\x00\n😀")}},
		"text not ASCII":  {`{"user_identifier_key":"Zoë 日本"}`, &request{UserIdentifierKey: new("Zoë 日本")}},
		"text not a UUID": {`{"client_session_id":"not-a-uuid"}`, &request{ClientSessionId: new("not-a-uuid")}},
		"one identity":    {`{"user_identity_ids":["a"]}`, &request{UserIdentityIds: []string{"a"}}},
		"everything": {
			`{"user_identity_ids":["i"],"user_identity_id":"j","connected_account_ids":["a","b"],` +
				`"connect_webview_ids":["w"],"user_identifier_key":"k","client_session_id":"c"}`,
			&request{
				ClientSessionId:     new("c"),
				UserIdentifierKey:   new("k"),
				ConnectWebviewIds:   []string{"w"},
				ConnectedAccountIds: []string{"a", "b"},
				UserIdentityId:      new("j"),
				UserIdentityIds:     []string{"i"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := &request{}
			violations, err := newCodec(t).UnmarshalRequest([]byte(test.text), "", got)
			if err != nil || len(violations) > 0 {
				t.Fatalf("violations %v, error %v; want neither", violations, err)
			}
			wantEqual(t, got, test.want)
		})
	}
}

func TestUnmarshalRequestViolations(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []seamerr.FieldViolation
	}{
		"number for text":   {`{"client_session_id":5}`, []seamerr.FieldViolation{violation("Expected string, received number", "client_session_id")}},
		"true for text":     {`{"client_session_id":true}`, []seamerr.FieldViolation{violation("Expected string, received boolean", "client_session_id")}},
		"false for text":    {`{"user_identity_id":false}`, []seamerr.FieldViolation{violation("Expected string, received boolean", "user_identity_id")}},
		"null for text":     {`{"user_identifier_key":null}`, []seamerr.FieldViolation{violation("Expected string, received null", "user_identifier_key")}},
		"array for text":    {`{"user_identity_id":["SECRET"]}`, []seamerr.FieldViolation{violation("Expected string, received array", "user_identity_id")}},
		"object for text":   {`{"user_identity_id":{"SECRET":"SECRET"}}`, []seamerr.FieldViolation{violation("Expected string, received object", "user_identity_id")}},
		"text for list":     {`{"connect_webview_ids":"SECRET"}`, []seamerr.FieldViolation{violation("Expected array, received string", "connect_webview_ids")}},
		"null for list":     {`{"connected_account_ids":null}`, []seamerr.FieldViolation{violation("Expected array, received null", "connected_account_ids")}},
		"object for list":   {`{"user_identity_ids":{"0":"SECRET"}}`, []seamerr.FieldViolation{violation("Expected array, received object", "user_identity_ids")}},
		"boolean for list":  {`{"connected_account_ids":true}`, []seamerr.FieldViolation{violation("Expected array, received boolean", "connected_account_ids")}},
		"number for list":   {`{"connected_account_ids":1}`, []seamerr.FieldViolation{violation("Expected array, received number", "connected_account_ids")}},
		"empty exactly-one": {`{"user_identity_ids":[]}`, []seamerr.FieldViolation{seamerr.NotExactlyOne("user_identity_ids")}},
		"two identities":    {`{"user_identity_ids":["SECRET","SECRET"]}`, []seamerr.FieldViolation{seamerr.NotExactlyOne("user_identity_ids")}},
		"two, one invalid": {
			`{"user_identity_ids":["SECRET",null]}`,
			[]seamerr.FieldViolation{
				seamerr.NotExactlyOne("user_identity_ids"),
				violation("Expected string, received null", "user_identity_ids", "1"),
			},
		},
		"elements": {
			`{"connected_account_ids":["SECRET",1,null,[["SECRET"]],{"a":"SECRET"},true]}`,
			[]seamerr.FieldViolation{
				violation("Expected string, received number", "connected_account_ids", "1"),
				violation("Expected string, received null", "connected_account_ids", "2"),
				violation("Expected string, received array", "connected_account_ids", "3"),
				violation("Expected string, received object", "connected_account_ids", "4"),
				violation("Expected string, received boolean", "connected_account_ids", "5"),
			},
		},
		"one invalid identity": {
			// The list has the required length, so its length is no second violation.
			`{"user_identity_ids":[1]}`, []seamerr.FieldViolation{violation("Expected string, received number", "user_identity_ids", "0")},
		},
		"unknown":                 {`{"nope":"SECRET"}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: 'nope'")}},
		"unknown ones, in order":  {`{"z":1,"a":{"SECRET":[]}}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: 'z', 'a'")}},
		"camel case is unknown":   {`{"clientSessionId":"SECRET"}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: 'clientSessionId'")}},
		"case matters":            {`{"Client_session_id":"SECRET"}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: 'Client_session_id'")}},
		"name without letters":    {`{"":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: ''")}},
		"name like an API key":    {`{"seam_SECRET":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: '(not quoted)'")}},
		"name like a JWT":         {`{"eyJSECRET":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: '(not quoted)'")}},
		"name with a quote":       {`{"it's":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: 'it's'")}},
		"name with a line break":  {`{"a\nSECRET":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: '(not quoted)'")}},
		"name not ASCII":          {`{"é":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: 'é'")}},
		"name too long":           {`{"` + strings.Repeat("x", 60) + `SECRET":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: '(not quoted)'")}},
		"name as long as may be":  {`{"` + strings.Repeat("x", 64) + `":1}`, []seamerr.FieldViolation{violation("Unrecognized key(s) in object: '" + strings.Repeat("x", 64) + "'")}},
		"list in place of object": {`["SECRET"]`, []seamerr.FieldViolation{violation("Expected object, received array")}},
		"text in place of object": {`"SECRET"`, []seamerr.FieldViolation{violation("Expected object, received string")}},
		"number in place of object": {
			`12`, []seamerr.FieldViolation{violation("Expected object, received number")},
		},
		"true in place of object": {`true`, []seamerr.FieldViolation{violation("Expected object, received boolean")}},
		"null in place of object": {`null`, []seamerr.FieldViolation{violation("Expected object, received null")}},
		"all at once, in the contract's order": {
			`{"nope":"SECRET","user_identity_ids":[],"connected_account_ids":[null],"client_session_id":null,"connect_webview_ids":{}}`,
			[]seamerr.FieldViolation{
				violation("Expected string, received null", "client_session_id"),
				violation("Expected array, received object", "connect_webview_ids"),
				violation("Expected string, received null", "connected_account_ids", "0"),
				seamerr.NotExactlyOne("user_identity_ids"),
				violation("Unrecognized key(s) in object: 'nope'"),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(test.text, "SECRET", secret)
			violations, err := newCodec(t).UnmarshalRequest([]byte(text), "", &request{})
			if refusal, ok := errors.AsType[*seamerr.Error](err); ok {
				violations, err = refusal.Violations, nil // A body that is no object leaves nothing to check.
			}
			if err != nil {
				t.Fatalf("error %v; want violations", err)
			}
			if !reflect.DeepEqual(violations, test.want) {
				t.Errorf("violations are %q\nwant %q", violations, test.want)
			}
			wantNoSecret(t, fmt.Sprint(violations))
		})
	}
}

// Valid members are kept beside invalid ones, because the rules are checked on them.
func TestUnmarshalRequestKeepsValidMembers(t *testing.T) {
	got := &request{}
	violations, err := newCodec(t).UnmarshalRequest(
		[]byte(`{"client_session_id":1,"user_identifier_key":"","connected_account_ids":["a",2,"b"]}`), "", got)
	if err != nil || len(violations) != 2 {
		t.Fatalf("violations %v, error %v; want two violations", violations, err)
	}
	// An invalid element keeps its place, so that violations of later ones name the right index.
	wantEqual(t, got, &request{UserIdentifierKey: new(""), ConnectedAccountIds: []string{"a", "", "b"}})
}

func TestUnmarshalRequestRefusesMalformedJSON(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"only space":              {`  `, "the JSON ends early"},
		"ends in the object":      {`{"client_session_id":"SECRET"`, "the JSON ends early, at byte 35"},
		"ends in a text":          {`{"client_session_id":"SECRET`, "the JSON ends early, at byte 34"},
		"ends in a list":          {`{"connected_account_ids":["SECRET"`, "the JSON ends early, at byte 40"},
		"ends after a name":       {`{"client_session_id"`, "the JSON ends early, at byte 20"},
		"no value":                {`{"client_session_id":}`, "not JSON at byte 21"},
		"no value in a list":      {`{"connected_account_ids":[}`, "not JSON at byte 26"},
		"comma before the end":    {`{"client_session_id":"SECRET",}`, "not JSON at byte 35"},
		"comma in a list":         {`{"connected_account_ids":["SECRET",]}`, "not JSON at byte 40"},
		"no comma":                {`{"client_session_id":"SECRET" "user_identity_id":"SECRET"}`, "not JSON at byte 36"},
		"no quotes":               {`{SECRET:1}`, "not JSON at byte 1"},
		"malformed unknown value": {`{"nope":{"SECRET":tru}}`, "not JSON at byte 27"},
		"malformed wrong value":   {`{"client_session_id":[SECRET]}`, "not JSON at byte 22"},
		"bad escape":              {`{"client_session_id":"\x SECRET"}`, "not JSON at byte 22"},
		"bare line break":         {"{\"client_session_id\":\"\nSECRET\"}", "not JSON at byte 22"},
		"text not UTF-8":          {"{\"client_session_id\":\"\xffSECRET\"}", "not JSON at byte 22"},
		"half a surrogate":        {`{"client_session_id":"\ud83d SECRET"}`, "not JSON at byte 22"},
		"doubled member":          {`{"client_session_id":"SECRET","client_session_id":"SECRET"}`, "not JSON at byte 36"},
		"doubled unknown one":     {`{"SECRET":1,"SECRET":2}`, "not JSON at byte 18"},
		"doubled by an escape":    {`{"user_identity_id":"a","user\u005fidentity_id":"b"}`, "not JSON at byte 24"},
		"a second object":         {`{"client_session_id":"SECRET"}{}`, "there is more after the JSON value"},
		"a stray bracket":         {`{}]`, "there is more after the JSON value"},
		"words behind":            {`{} SECRET`, "there is more after the JSON value"},
		"a second list":           {`[] []`, "there is more after the JSON value"},
		"no JSON":                 {`SECRET`, "not JSON at byte 0"},
		"byte order mark":         {"\ufeff{}", "not JSON at byte 0"},
		"a form":                  {`client_session_id=SECRET`, "not JSON at byte 0"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.ReplaceAll(test.text, "SECRET", secret)
			_, err := newCodec(t).UnmarshalRequest([]byte(text), "", &request{})
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

// A hostile body must not get a response many times its own size, nor use unbounded memory.
func TestUnmarshalRequestBoundsViolations(t *testing.T) {
	unknown := make([]string, 5000)
	for i := range unknown {
		unknown[i] = fmt.Sprintf(`"u%d":0`, i)
	}
	text := `{"connected_account_ids":[` + strings.Repeat("0,", 4999) + `0],` + strings.Join(unknown, ",") + `}`
	violations, err := newCodec(t).UnmarshalRequest([]byte(text), "", &request{})
	if err != nil {
		t.Fatal(err)
	}
	if len(violations) != 101 {
		t.Fatalf("%d violations; want 100 of the list and one of the unknown members", len(violations))
	}
	last := violations[100].Message
	if !strings.HasSuffix(last, "'u99'") {
		t.Errorf("the unknown members end in %q, want the hundredth, 'u99'", last[max(0, len(last)-20):])
	}
}

func TestUnmarshalRequestBoundsDepth(t *testing.T) {
	// The parser's own bound must hold where a value is passed over, or a body of brackets would use up the stack.
	deep := `{"nope":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}`
	if _, err := newCodec(t).UnmarshalRequest([]byte(deep), "", &request{}); err == nil {
		t.Error("half a million nested lists were read without complaint")
	}
}
