package seamjson

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

func withoutWebview() *listRequest {
	return &listRequest{ConnectWebview: &clientsessionv1.ListRequest_WithoutConnectWebview{WithoutConnectWebview: true}}
}

func withWebview(id string) *listRequest {
	return &listRequest{ConnectWebview: &clientsessionv1.ListRequest_ConnectWebviewId{ConnectWebviewId: id}}
}

func expiring(text string) *createRequest { return &createRequest{ExpiresAt: stamp(text)} }

// Some members have three states: absent, null (or an empty list) and a value. Each must be decoded and encoded as
// such. A time has milliseconds, and more digits only where they are not zero.
func TestRequestRoundTrip(t *testing.T) {
	for text, message := range map[string]proto.Message{
		`{}`:                                              &request{},
		`{"client_session_id":""}`:                        &request{ClientSessionId: new("")},
		`{"user_identity_ids":["i"]}`:                     &request{UserIdentityIds: []string{"i"}},
		`{"connect_webview_id":null}`:                     withoutWebview(),
		`{"connect_webview_id":"w"}`:                      withWebview("w"),
		`{"connect_webview_id":""}`:                       withWebview(""),
		`{"connect_webview_ids":[]}`:                      &createRequest{ConnectWebviewIds: &idList{}},
		`{"connect_webview_ids":["a"]}`:                   &createRequest{ConnectWebviewIds: &idList{Ids: []string{"a"}}},
		`{"without_user_identifier_key":false}`:           &listRequest{WithoutUserIdentifierKey: new(false)},
		`{"user_identifier_key":"a\"\n\u0000é"}`:          &request{UserIdentifierKey: new("a\"\n\x00é")},
		`{"expires_at":"2025-06-15T16:54:17.946Z"}`:       expiring("2025-06-15T18:54:17.946+02:00"),
		`{"expires_at":"2025-06-15T16:54:17.000Z"}`:       expiring("2025-06-15T16:54:17Z"),
		`{"expires_at":"2025-06-15T16:54:17.000001Z"}`:    expiring("2025-06-15T16:54:17.000001Z"),
		`{"expires_at":"2025-06-15T16:54:17.946123789Z"}`: expiring("2025-06-15T16:54:17.946123789Z"),
		`{"expires_at":"1969-12-31T23:59:59.999Z"}`:       expiring("1969-12-31T23:59:59.999Z"),
		`{"expires_at":"0001-01-01T00:00:00.000Z"}`:       expiring("0001-01-01T00:00:00Z"),
		`{"expires_at":"9999-12-31T23:59:59.999999999Z"}`: expiring("9999-12-31T23:59:59.999999999Z"),
		`{"client_session_id":"c","user_identifier_key":"k","connect_webview_ids":["w"],` +
			`"connected_account_ids":["a",""],"user_identity_id":"j","user_identity_ids":["i"]}`: &request{
			ClientSessionId: new("c"), UserIdentifierKey: new("k"), ConnectWebviewIds: []string{"w"},
			ConnectedAccountIds: []string{"a", ""}, UserIdentityId: new("j"), UserIdentityIds: []string{"i"},
		},
	} {
		t.Run(text, func(t *testing.T) {
			read := message.ProtoReflect().New().Interface()
			if violations, err := readRequest(text, read); err != nil || len(violations) > 0 {
				t.Fatalf("violations %q, error %v", violations, err)
			}
			wantEqual(t, read, message)
			written, err := contract.AppendRequest([]byte("before"), message)
			if err != nil || string(written) != "before"+text {
				t.Errorf("written is %s, error %v", written, err)
			}
		})
	}
}

func TestUnmarshalRequestAccepts(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want proto.Message
	}{
		"no body":              {``, &request{}},
		"space around":         {" \r\n\t{ } \n", &request{}},
		"empty list":           {`{"connect_webview_ids":[],"connected_account_ids":[]}`, &request{}},
		"escaped name":         {`{"client\u005fsession_id":"c"}`, &request{ClientSessionId: new("c")}},
		"escaped value":        {`{"user_identifier_key":"\u0000\n\ud83d\ude00"}`, &request{UserIdentifierKey: new("\x00\n😀")}},
		"another order":        {`{"user_identity_id":"j","client_session_id":"c"}`, &request{ClientSessionId: new("c"), UserIdentityId: new("j")}},
		"one":                  {`?client_session_id=c`, &request{ClientSessionId: new("c")}},
		"escapes":              {`?client%5Fsession_id=a%20b+c%26%C3%A9`, &request{ClientSessionId: new("a b c&é")}},
		"empty text":           {`?client_session_id=`, &request{ClientSessionId: new("")}},
		"no equals sign":       {`?client_session_id`, &request{ClientSessionId: new("")}},
		"more equals signs":    {`?client_session_id=a=b`, &request{ClientSessionId: new("a=b")}},
		"SDK's mark":           {`?_strict=true&client_session_id=c&_strict=`, &request{ClientSessionId: new("c")}},
		"stray ampersands":     {`?&&client_session_id=c&`, &request{ClientSessionId: new("c")}},
		"list":                 {`?connected_account_ids=a&connected_account_ids=b`, &request{ConnectedAccountIds: []string{"a", "b"}}},
		"no elements":          {`?connected_account_ids=`, &request{}},
		"list with an empty":   {`?connected_account_ids=a&connected_account_ids=`, &request{ConnectedAccountIds: []string{"a", ""}}},
		"beside a body":        {`{"client_session_id":"b"}?user_identity_id=q`, &request{ClientSessionId: new("b"), UserIdentityId: new("q")}},
		"body wins":            {`{"client_session_id":"b"}?client_session_id=q`, &request{ClientSessionId: new("b")}},
		"body wins with lists": {`{"connected_account_ids":["b"]}?connected_account_ids=q&connected_account_ids=r`, &request{ConnectedAccountIds: []string{"b"}}},
		"true":                 {`?without_user_identifier_key=true`, &listRequest{WithoutUserIdentifierKey: new(true)}},
		"false":                {`?without_user_identifier_key=false`, &listRequest{WithoutUserIdentifierKey: new(false)}},
		"id":                   {`?connect_webview_id=w`, withWebview("w")},
		"id is null":           {`?connect_webview_id=`, withoutWebview()},
	} {
		t.Run(name, func(t *testing.T) {
			got := test.want.ProtoReflect().New().Interface()
			if violations, err := readRequest(test.text, got); err != nil || len(violations) > 0 {
				t.Fatalf("violations %v, error %v; want neither", violations, err)
			}
			wantEqual(t, got, test.want)
			written, err := contract.AppendRequest(nil, got)
			if want, wantErr := contract.AppendRequest(nil, test.want); string(written) != string(want) || err != nil || wantErr != nil {
				t.Errorf("written is %s, want %s; errors %v, %v", written, want, err, wantErr)
			}
		})
	}
}

func TestUnmarshalRequestViolations(t *testing.T) {
	const identities = `Array must contain exactly 1 element(s) for "user_identity_ids"`
	unknown := func(names string) string { return "Unrecognized key(s) in object: " + names }
	for name, test := range map[string]struct {
		text    string
		message proto.Message
		want    string
	}{
		"number for text":        {`{"client_session_id":5}`, &request{}, `Expected string, received number for "client_session_id"`},
		"boolean for text":       {`{"user_identity_id":false}`, &request{}, `Expected string, received boolean for "user_identity_id"`},
		"null for text":          {`{"user_identifier_key":null}`, &request{}, `Expected string, received null for "user_identifier_key"`},
		"null for boolean":       {`{"without_user_identifier_key":null}`, &listRequest{}, `Expected boolean, received null for "without_user_identifier_key"`},
		"number for null":        {`{"connect_webview_id":5}`, &listRequest{}, `Expected string, received number for "connect_webview_id"`},
		"number for time":        {`{"expires_at":1750006457}`, &createRequest{}, `Expected string, received number for "expires_at"`},
		"no time":                {`{"expires_at":"SECRET"}`, &createRequest{}, `Invalid datetime for "expires_at"`},
		"day for time":           {`{"expires_at":"2025-06-15"}`, &createRequest{}, `Invalid datetime for "expires_at"`},
		"time with a comma":      {`{"expires_at":"2025-06-15T16:54:17,5Z"}`, &createRequest{}, `Invalid datetime for "expires_at"`},
		"day that is none":       {`{"expires_at":"2025-02-30T16:54:17Z"}`, &createRequest{}, `Invalid datetime for "expires_at"`},
		"time before all":        {`{"expires_at":"0000-12-31T23:59:59Z"}`, &createRequest{}, `Invalid datetime for "expires_at"`},
		"text for list":          {`{"connect_webview_ids":"SECRET"}`, &request{}, `Expected array, received string for "connect_webview_ids"`},
		"null for wrapped list":  {`{"connect_webview_ids":null}`, &createRequest{}, `Expected array, received null for "connect_webview_ids"`},
		"wrapper of a list":      {`{"connect_webview_ids":{"ids":["SECRET"]}}`, &createRequest{}, `Expected array, received object for "connect_webview_ids"`},
		"wrapped element":        {`{"connect_webview_ids":["a",1]}`, &createRequest{}, `Expected string, received number for "connect_webview_ids.1"`},
		"no identity":            {`{"user_identity_ids":[]}`, &request{}, identities},
		"two identities":         {`{"user_identity_ids":["SECRET","SECRET"]}`, &request{}, identities},
		"two, one invalid":       {`{"user_identity_ids":["SECRET",null]}`, &request{}, identities + `; Expected string, received null for "user_identity_ids.1"`},
		"one, invalid":           {`{"user_identity_ids":[1]}`, &request{}, `Expected string, received number for "user_identity_ids.0"`},
		"query, boolean":         {`?without_user_identifier_key=SECRET`, &listRequest{}, `Expected boolean, received string for "without_user_identifier_key"`},
		"query, empty boolean":   {`?without_user_identifier_key=`, &listRequest{}, `Expected boolean, received string for "without_user_identifier_key"`},
		"query, two identities":  {`?user_identity_ids=SECRET&user_identity_ids=b`, &request{}, identities},
		"query, no identity":     {`?user_identity_ids=`, &request{}, identities},
		"unknown ones, in order": {`{"z":1,"a":{"SECRET":[]}}`, &request{}, unknown(`'z', 'a'`)},
		"the service's own":      {`{"if_exists":"IF_EXISTS_FAIL"}`, &createRequest{}, unknown(`'if_exists'`)},
		"flag for null":          {`{"without_connect_webview":true}`, &listRequest{}, unknown(`'without_connect_webview'`)},
		"camel case":             {`{"clientSessionId":"SECRET"}`, &request{}, unknown(`'clientSessionId'`)},
		"case matters":           {`{"Client_session_id":"SECRET"}`, &request{}, unknown(`'Client_session_id'`)},
		"name without letters":   {`{"":1}`, &request{}, unknown(`''`)},
		"name like an API key":   {`{"seam_SECRET":1}`, &request{}, unknown(`'(not quoted)'`)},
		"name with a line break": {`{"a\nSECRET":1}`, &request{}, unknown(`'(not quoted)'`)},
		"name not ASCII":         {`{"é":1}`, &request{}, unknown(`'é'`)},
		"name with an escape":    {`{"\u00e9":1}`, &request{}, unknown(`'é'`)},
		"name too long":          {`{"` + strings.Repeat("x", 59) + `SECRET":1}`, &request{}, unknown(`'(not quoted)'`)},
		"name as long as may be": {`{"` + strings.Repeat("x", 64) + `":1}`, &request{}, unknown(`'` + strings.Repeat("x", 64) + `'`)},
		"list for the object":    {`["SECRET"]`, &request{}, `Expected object, received array`},
		"text for the object":    {`"SECRET"`, &request{}, `Expected object, received string`},
		"null for the object":    {`null`, &request{}, `Expected object, received null`},
		"all at once, in the contract's order": {
			`{"nope":"SECRET","user_identity_ids":[],"client_session_id":null,"connect_webview_ids":{},` +
				`"connected_account_ids":["SECRET",1,null,[["SECRET"]],{"a":"SECRET"},true]}`,
			&request{},
			`Expected string, received null for "client_session_id"; Expected array, received object for "connect_webview_ids"; ` +
				`Expected string, received number for "connected_account_ids.1"; ` +
				`Expected string, received null for "connected_account_ids.2"; ` +
				`Expected string, received array for "connected_account_ids.3"; ` +
				`Expected string, received object for "connected_account_ids.4"; ` +
				`Expected string, received boolean for "connected_account_ids.5"; ` + identities + `; ` + unknown(`'nope'`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			violations, err := readRequest(test.text, test.message)
			if refusal, ok := errors.AsType[*seamerr.Error](err); ok {
				violations, err = refusal.Violations, nil // A body that is no object leaves nothing to check.
			}
			texts := make([]string, len(violations))
			for i, violation := range violations {
				texts[i] = violation.String()
			}
			if got := strings.Join(texts, "; "); got != test.want || err != nil {
				t.Errorf("violations are %s, error %v\nwant %s", got, err, test.want)
			}
		})
	}
	// Valid members are kept beside invalid ones, because the rules are checked on them. An invalid element keeps its
	// place, so that violations of later ones name the right index.
	got := &request{}
	violations, err := readRequest(`{"client_session_id":1,"user_identifier_key":"","connected_account_ids":["a",2,"b"]}`, got)
	if err != nil || len(violations) != 2 {
		t.Errorf("violations %v, error %v; want two violations", violations, err)
	}
	wantEqual(t, got, &request{UserIdentifierKey: new(""), ConnectedAccountIds: []string{"a", "", "b"}})
}

func TestUnmarshalRequestRefuses(t *testing.T) {
	const malformed = "InvalidArgument: Invalid query string"
	unknown := func(name string) string { return "InvalidArgument: Unrecognized query parameter: '" + name + "'" }
	repeated := func(name string) string { return "InvalidArgument: Repeated query parameter: '" + name + "'" }
	for name, test := range map[string]struct {
		text    string
		message proto.Message
		want    string
	}{
		"only space":               {`  `, &request{}, "the JSON ends early"},
		"ends in the object":       {`{"client_session_id":"SECRET"`, &request{}, "the JSON ends early, at byte 35"},
		"ends in a list":           {`{"connected_account_ids":["SECRET"`, &request{}, "the JSON ends early, at byte 40"},
		"no value":                 {`{"client_session_id":}`, &request{}, "not JSON at byte 21"},
		"no value in a list":       {`{"connected_account_ids":[}`, &request{}, "not JSON at byte 26"},
		"comma before the end":     {`{"client_session_id":"SECRET",}`, &request{}, "not JSON at byte 35"},
		"no quotes":                {`{SECRET:1}`, &request{}, "not JSON at byte 1"},
		"malformed unknown value":  {`{"nope":{"SECRET":tru}}`, &request{}, "not JSON at byte 27"},
		"malformed wrong value":    {`{"client_session_id":[SECRET]}`, &request{}, "not JSON at byte 22"},
		"text not UTF-8":           {"{\"client_session_id\":\"\xffSECRET\"}", &request{}, "not JSON at byte 22"},
		"half a surrogate":         {`{"client_session_id":"\ud83d SECRET"}`, &request{}, "not JSON at byte 22"},
		"doubled member":           {`{"client_session_id":"SECRET","client_session_id":"SECRET"}`, &request{}, "not JSON at byte 36"},
		"doubled unknown one":      {`{"SECRET":1,"SECRET":2}`, &request{}, "not JSON at byte 18"},
		"doubled by an escape":     {`{"user_identity_id":"a","user\u005fidentity_id":"b"}`, &request{}, "not JSON at byte 24"},
		"a second object":          {`{"client_session_id":"SECRET"}{}`, &request{}, "there is more after the JSON value"},
		"words behind a list":      {`[] SECRET`, &request{}, "there is more after the JSON value"},
		"no JSON":                  {`SECRET`, &request{}, "not JSON at byte 0"},
		"byte order mark":          {"\ufeff{}", &request{}, "not JSON at byte 0"},
		"nested too deep":          {`{"nope":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}`, &request{}, "not JSON at byte 10007"},
		"unknown parameter":        {`?nope=SECRET`, &request{}, unknown("nope")},
		"parameter like a key":     {`?seam_SECRET=1`, &request{}, unknown("(not quoted)")},
		"camel case":               {`?clientSessionId=SECRET`, &request{}, unknown("clientSessionId")},
		"brackets":                 {`?connected_account_ids[]=SECRET`, &request{}, unknown("connected_account_ids[]")},
		"field that JSON lacks":    {`?without_connect_webview=true`, &listRequest{}, unknown("without_connect_webview")},
		"request of bodies only":   {`?user_identifier_key=SECRET`, &createRequest{}, unknown("user_identifier_key")},
		"repeated":                 {`?client_session_id=SECRET&client_session_id=SECRET`, &request{}, repeated("client_session_id")},
		"repeated with an escape":  {`?client_session_id=a&client%5fsession_id=SECRET`, &request{}, repeated("client_session_id")},
		"repeated beside the body": {`{"client_session_id":"b"}?client_session_id=SECRET&client_session_id=SECRET`, &request{}, repeated("client_session_id")},
		"invalid escape":           {`?client_session_id=%zzSECRET`, &request{}, malformed},
		"invalid escape in a name": {`?%=SECRET`, &request{}, malformed},
		"parameter not UTF-8":      {`?client_session_id=%ffSECRET`, &request{}, malformed},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readRequest(test.text, test.message)
			wantError(t, err, test.want)
			if e, ok := errors.AsType[*seamerr.Error](err); ok && e.Type != "invalid_query_params" {
				t.Errorf("type is %s", e.Type)
			}
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
	violations, err := readRequest(text, &request{})
	if err != nil || len(violations) != 101 {
		t.Fatalf("%d violations, error %v; want 100 of the list and one of the unknown members", len(violations), err)
	}
	if last := violations[100].Message; !strings.HasSuffix(last, "'u99'") {
		t.Errorf("the unknown members end in %q, want the hundredth, 'u99'", last[max(0, len(last)-20):])
	}
}

// A message that JSON cannot represent is an error. It names the member and does not quote the value.
func TestAppendRequestFails(t *testing.T) {
	const invalid = "\xff" + secret
	for name, test := range map[string]struct {
		message proto.Message
		want    string
	}{
		"text not UTF-8":    {&request{UserIdentifierKey: new(invalid)}, "user_identifier_key: "},
		"element not UTF-8": {&request{ConnectWebviewIds: []string{"a", invalid}}, "connect_webview_ids: "},
		"time out of range": {&createRequest{ExpiresAt: &timestamppb.Timestamp{Seconds: 1 << 60}}, "expires_at: "},
		"a response":        {&response{ClientSession: &session{}}, "client_session: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := contract.AppendRequest(nil, test.message)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error is %v, want it to begin with %q", err, test.want)
			}
		})
	}
}
