package seamjson

import (
	"encoding/json"
	"maps"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// members splits a JSON object with the standard library, which is independent of the decoders that are compared.
func members(text []byte) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(text, &all) // What is no object has no members.
	return all
}

// camelCase reports whether a name is that of a field in protobuf's own mapping, which protojson reads too and Seam does
// not know.
func camelCase(name string) bool {
	for _, m := range []proto.Message{&request{}, &response{}, &session{}} {
		if f := m.ProtoReflect().Descriptor().Fields().ByJSONName(name); f != nil && string(f.Name()) != name {
			return true
		}
	}
	return false
}

// requestDiffers is the complete list of reasons for which UnmarshalRequest may refuse a request that protojson
// accepts.
func requestDiffers(text []byte) bool {
	for name, value := range members(text) {
		switch {
		case camelCase(name):
			return true
		case string(value) == "null": // Seam refuses null; protojson takes it for absent.
			return true
		case name == "user_identity_ids": // Seam wants exactly one element, which a message cannot tell from none.
			var list []json.RawMessage
			if json.Unmarshal(value, &list) == nil && len(list) != 1 {
				return true
			}
		}
	}
	return false
}

// FuzzUnmarshalRequest expects what protojson reads, of the request and of what is written of it again.
func FuzzUnmarshalRequest(f *testing.F) {
	for _, text := range []string{
		``, `{}`, ` { } `, `[]`, `null`, `{"client_session_id":"c","user_identity_ids":["i"]}`, `{"client_session_id":5}`,
		`{"connected_account_ids":["a",1,null,[],{}]}`, `{"nope":[{}],"seam_key":1}`, `{"user_identity_ids":[]}`,
		`{"client_session_id":null}`, `{"clientSessionId":"c"}`, `{"a":1,"a":2}`, `{}{}`, `{"client_session_id":}`,
		`{"connect_webview_ids":[}`, `{"connect_webview_ids":[,]}`, `{"connect_webview_ids":["a",]}`, "{\"a\":\"\xff\"}",
		`{"user_identifier_key":"\ud83d\ude00\u0000"}`, `{"user_identifier_key":"\ud83d"}`, `{"user_identity_id":"\q"}`,
		`{"client_session_id":"c"`, `{"client_session_id":-}`, `{"client_session_id":1e9999}`, "\ufeff{}",
		`{"connect_webview_ids":["quote \" backslash \\ slash /","\u0000\u0001\u001f\u007f","\b\f\n\r\t","Zoë 日本 😀"]}`,
		`{"user_identifier_key":"\u2028\u2029<script>&</script>\ufffd\u00a0"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, want := &request{}, &request{}
		violations, err := contract.UnmarshalRequest(text, "", got)
		accepted := err == nil && len(violations) == 0
		if len(text) == 0 { // No body is a request without parameters, since they may stand in the query string.
			if !accepted {
				t.Fatalf("no body is refused: violations %q, error %v", violations, err)
			}
			return
		}
		if !json.Valid(text) {
			if err == nil {
				t.Fatalf("malformed JSON is accepted, with violations %q", violations)
			}
			return // protojson takes some of it, such as {"a":0e}.
		}
		for _, p := range violations {
			if !utf8.ValidString(p.Message) {
				t.Errorf("violation %q cannot be sent", p.Message)
			}
		}
		theirs := protojson.Unmarshal(text, want)
		if requestDiffers(text) {
			return
		}
		if accepted != (theirs == nil) {
			t.Fatalf("seamjson: violations %q, error %v; protojson says: %v", violations, err, theirs)
		}
		if !accepted {
			return
		}
		wantEqual(t, got, want)
		written, err := contract.AppendRequest(nil, got)
		again := &request{}
		if theirs := protojson.Unmarshal(written, again); err != nil || theirs != nil {
			t.Fatalf("%s is written, error %v; protojson says: %v", written, err, theirs)
		}
		wantEqual(t, again, want)
	})
}

var (
	longFraction  = regexp.MustCompile(`[.,]\d{10,}`)
	plainSmallInt = regexp.MustCompile(`^-?\d{1,15}$`)
)

// responseDiffers is the complete list of reasons for which UnmarshalResponse and protojson may differ on a response.
func responseDiffers(text []byte) bool {
	// Text that is not UTF-8, and half a surrogate, cost one character and not the response. Of doubled members the last
	// one counts. Strict JSON has neither, and protojson refuses both.
	if !jsontext.Value(text).IsValid() {
		return true
	}
	all := members(text)
	maps.Copy(all, members(all["client_session"]))
	for name, value := range all {
		switch {
		case camelCase(name):
			return true
		case name == "additional_members": // It is the name of a field, but of none of Seam's members.
			return true
		case name == "device_count": // Digits beyond a double's are rounded, and a fraction is cut.
			if !plainSmallInt.Match(value) {
				return true
			}
		case name == "created_at" || name == "expires_at": // Digits below the nanosecond are cut; protojson refuses.
			if longFraction.Match(value) {
				return true
			}
		}
	}
	return false
}

func FuzzUnmarshalResponse(f *testing.F) {
	for _, text := range []string{
		fullResponse, ``, `{}`, `{"ok":true}`, `null`, `[]`, `{"client_session":null}`, `{"client_session":{"b":{"c":[1]}}}`,
		`{"client_session":{"device_count":3.0}}`, `{"client_session":{"device_count":1e2}}`, `{"x":1e999}`,
		`{"client_session":{"device_count":-0}}`, `{"client_session":{"device_count":2147483648}}`,
		`{"client_session":{"created_at":"2025-06-15T18:54:17.946123+02:00","expires_at":"9999-12-31T23:59:59-01:00"}}`,
		`{"client_session":{"created_at":"0001-01-01T00:00:00Z","expires_at":"9999-12-31T23:59:59.999999999Z"}}`,
		`{"client_session":{"created_at":"2025-06-15T16:54:17,5Z"}}`, `{"client_session":{"created_at":"2025-06-15T6:54:17Z"}}`,
		`{"client_session":{"created_at":"2025-06-15T16:54:17.5+24:60"}}`, `{"ok":1}`, `{"client_session":{"token":5}}`,
		`{"client_session":{"connect_webview_ids":["a",null]}}`, `{"client_session":{"connect_webview_ids":[}}`,
		`{"ok":true,}`, `{"ok":true}]`, `{"ok":true`, "{\"client_session\":{\"token\":\"\xff\"}}", `{"a":{"a":{"a":[[[]]]}}}`,
		`{"0":0e}`, `{"client_session":{"token":"\"\\\/\b\f\n\r\t\u2028😀\u0000","customer_key":"\ud83d\ude00"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, want := &response{}, &response{}
		_, err := readResponse(t, string(text), got)
		if !json.Valid(text) {
			if err == nil {
				t.Fatal("malformed JSON is accepted")
			}
			return // protojson takes some of it, such as {"a":0e}.
		}
		if err == nil {
			// What was read goes out on both faces.
			if _, err := proto.Marshal(got); err != nil {
				t.Errorf("what was read cannot be written as protobuf: %v", err)
			}
		}
		theirs := protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(text, want)
		if responseDiffers(text) {
			return
		}
		if theirs != nil {
			return // A member of another type than documented is left unset.
		}
		if err != nil {
			t.Fatalf("we say: %v; protojson takes it", err)
		}
		if got.GetClientSession() != nil {
			got.ClientSession.AdditionalMembers = nil
		}
		wantEqual(t, got, want)
	})
}
