package seamjson_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// member is one member of a JSON object, in the order of the text and with duplicate names.
type member struct {
	name  string
	value json.RawMessage
}

// members splits a JSON object with the standard library, which is independent of the decoders that are compared.
func members(text []byte) []member {
	dec := json.NewDecoder(bytes.NewReader(text))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return nil
	}
	var all []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return all
		}
		m := member{name: name.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return all
		}
		all = append(all, m)
	}
	return all
}

func doubled(all []member) bool {
	names := map[string]bool{}
	for _, m := range all {
		if names[m.name] {
			return true
		}
		names[m.name] = true
	}
	return false
}

// camelCase reports whether a name is one of protobuf's own mapping, which protojson reads too.
func camelCase(name string) bool {
	return slices.Contains([]string{
		"clientSession", "clientSessionId", "workspaceId", "createdAt", "expiresAt", "userIdentifierKey", "deviceCount",
		"connectWebviewIds", "connectedAccountIds", "userIdentityIds", "customerKey", "userIdentityId", "additionalMembers",
	}, name)
}

// requestDiffers is the complete list of reasons for which UnmarshalRequest may refuse a request that protojson
// accepts. TestRequestDiffersFromProtojson shows each of them.
func requestDiffers(text []byte) bool {
	for _, m := range members(text) {
		switch {
		case camelCase(m.name): // Seam knows no camel case.
			return true
		case string(m.value) == "null": // Seam refuses null; protojson takes it for absent.
			return true
		case m.name == "user_identity_ids": // Seam wants exactly one element, which a message cannot tell from none.
			var list []json.RawMessage
			if json.Unmarshal(m.value, &list) == nil && len(list) != 1 {
				return true
			}
		}
	}
	return false
}

func TestRequestDiffersFromProtojson(t *testing.T) {
	codec := newCodec(t)
	for _, text := range []string{
		`{"clientSessionId":"c"}`,
		`{"client_session_id":null}`,
		`{"user_identity_ids":[]}`,
		`{"user_identity_ids":["a","b"]}`,
	} {
		violations, err := codec.UnmarshalRequest([]byte(text), "", &request{})
		if err == nil && len(violations) == 0 {
			t.Errorf("%s: UnmarshalRequest accepts it", text)
		}
		if err := protojson.Unmarshal([]byte(text), &request{}); err != nil {
			t.Errorf("%s: protojson refuses it too, so it is no difference: %v", text, err)
		}
		if !requestDiffers([]byte(text)) {
			t.Errorf("%s: not known as a difference", text)
		}
	}
}

func FuzzUnmarshalRequest(f *testing.F) {
	for _, text := range []string{
		``, `{}`, ` { } `, `[]`, `null`, `{"client_session_id":"c","user_identity_ids":["i"]}`, `{"client_session_id":5}`,
		`{"connected_account_ids":["a",1,null,[],{}]}`, `{"nope":[{}],"seam_key":1}`, `{"user_identity_ids":[]}`,
		`{"client_session_id":null}`, `{"clientSessionId":"c"}`, `{"a":1,"a":2}`, `{}{}`, `{"client_session_id":}`,
		`{"connect_webview_ids":[}`, `{"connect_webview_ids":[,]}`, `{"connect_webview_ids":["a",]}`, "{\"a\":\"\xff\"}",
		`{"user_identifier_key":"\ud83d\ude00\u0000"}`, `{"user_identifier_key":"\ud83d"}`, `{"user_identity_id":"\q"}`,
		`{"client_session_id":"c"`, `{"client_session_id":-}`, `{"client_session_id":1e9999}`, "\ufeff{}",
	} {
		f.Add([]byte(text))
	}
	codec := newCodec(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		got, want := &request{}, &request{}
		violations, err := codec.UnmarshalRequest(text, "", got)
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
		if accepted {
			wantEqual(t, got, want)
		}
	})
}

var (
	surrogate     = regexp.MustCompile(`\\u[dD][89a-fA-F]`)
	longFraction  = regexp.MustCompile(`[.,]\d{10,}`)
	plainSmallInt = regexp.MustCompile(`^-?\d{1,15}$`)
)

// responseDiffers is the complete list of reasons for which UnmarshalResponse and protojson may differ on a response.
// TestResponseDiffersFromProtojson shows each of them.
func responseDiffers(text []byte) bool {
	// Text that is not UTF-8, and half a surrogate, cost one character and not the response.
	if !utf8.Valid(text) || surrogate.Match(text) {
		return true
	}
	all := members(text)
	if doubled(all) { // The last one counts; protojson refuses.
		return true
	}
	for _, m := range all {
		if m.name == "client_session" {
			inner := members(m.value)
			if doubled(inner) {
				return true
			}
			all = append(all, inner...)
		}
	}
	for _, m := range all {
		switch {
		case camelCase(m.name): // Seam knows no camel case.
			return true
		case m.name == "additional_members": // It is the name of a field, but of none of Seam's members.
			return true
		case m.name == "device_count": // Digits beyond a double's are rounded, and a fraction is cut.
			if !plainSmallInt.Match(m.value) {
				return true
			}
		case m.name == "created_at" || m.name == "expires_at": // Digits below the nanosecond are cut; protojson refuses.
			if longFraction.Match(m.value) {
				return true
			}
		}
	}
	return false
}

func TestResponseDiffersFromProtojson(t *testing.T) {
	codec := newCodec(t)
	for _, text := range []string{
		"{\"client_session\":{\"token\":\"\xff\"}}",
		`{"client_session":{"token":"\ud83d"}}`,
		`{"ok":false,"ok":true}`,
		`{"client_session":{"token":"a","token":"b"}}`,
		`{"client_session":{"device_count":3.0000000000000000001}}`,
		`{"client_session":{"created_at":"2025-06-15T16:54:17.1234567890Z"}}`,
	} {
		_, got := codec.UnmarshalResponse([]byte(text), &response{})
		theirs := protojson.Unmarshal([]byte(text), &response{})
		if got != nil || theirs == nil {
			t.Errorf("%s: seamjson says %v, protojson says %v", text, got, theirs)
		}
		if !responseDiffers([]byte(text)) {
			t.Errorf("%s: not known as a difference", text)
		}
	}
	// Camel case is the one difference in what is read and not in whether it is.
	text := []byte(`{"clientSession":{"token":"t"}}`)
	got, theirs := &response{}, &response{}
	if _, err := codec.UnmarshalResponse(text, got); err != nil {
		t.Error(err)
	}
	if err := protojson.Unmarshal(text, theirs); err != nil {
		t.Error(err)
	}
	if got.GetClientSession() != nil || theirs.GetClientSession() == nil || !responseDiffers(text) {
		t.Errorf("camel case: seamjson reads {%v}, protojson {%v}", got, theirs)
	}
}

func FuzzUnmarshalResponse(f *testing.F) {
	for _, text := range []string{
		fullResponse, ``, `{}`, `{"ok":true}`, `null`, `[]`, `{"client_session":null}`, `{"client_session":{"b":{"c":[1]}}}`,
		`{"client_session":{"device_count":3.0}}`, `{"client_session":{"device_count":1e2}}`, `{"x":1e999}`,
		`{"client_session":{"device_count":-0}}`, `{"client_session":{"device_count":2147483648}}`,
		`{"client_session":{"created_at":"2025-06-15T18:54:17.946123+02:00","expires_at":"9999-12-31T23:59:59-01:00"}}`,
		`{"client_session":{"created_at":"2025-06-15T16:54:17,5Z"}}`, `{"client_session":{"created_at":"2025-06-15T6:54:17Z"}}`,
		`{"client_session":{"created_at":"2025-06-15T16:54:17.5+24:60"}}`, `{"ok":1}`, `{"client_session":{"token":5}}`,
		`{"client_session":{"connect_webview_ids":["a",null]}}`, `{"client_session":{"connect_webview_ids":[}}`,
		`{"ok":true,}`, `{"ok":true}]`, `{"ok":true`, "{\"client_session\":{\"token\":\"\xff\"}}", `{"a":{"a":{"a":[[[]]]}}}`,
		`{"0":0e}`,
	} {
		f.Add([]byte(text))
	}
	codec := newCodec(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		got, want := &response{}, &response{}
		_, err := codec.UnmarshalResponse(text, got)
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

func FuzzResponseRoundTrip(f *testing.F) {
	f.Add("c", "seam_cst1", "a\x00b", int64(1750006457), int32(946_000_000), int32(3), uint8(0))
	f.Add("", "\"\\/\b\f\n\r\t\u2028", "😀", int64(-62135596800), int32(0), int32(-1<<31), uint8(0xff))
	f.Add("\xff", "", "", int64(253402300799), int32(999_999_999), int32(1<<31-1), uint8(0x55))
	f.Add("x", "y", "z", int64(1)<<62, int32(-1), int32(0), uint8(0xaa))
	codec := newCodec(f)
	f.Fuzz(func(t *testing.T, id, token, text string, seconds int64, nanos, count int32, set uint8) {
		s := &session{ClientSessionId: id, Token: token, WorkspaceId: text, DeviceCount: count}
		message := &response{ClientSession: s, Ok: set&1 != 0}
		at := &timestamppb.Timestamp{Seconds: seconds, Nanos: nanos}
		if set&2 != 0 {
			s.UserIdentifierKey, s.ExpiresAt = &text, at
		}
		if set&4 != 0 {
			s.CustomerKey, s.UserIdentityId = &id, &token
		}
		if set&8 != 0 {
			s.CreatedAt = at
		}
		if set&16 != 0 {
			s.ConnectWebviewIds = strings.Split(text, "a")
		}
		if set&32 != 0 {
			s.ConnectedAccountIds, s.UserIdentityIds = []string{id, token, strconv.Itoa(int(count))}, []string{text}
		}
		if set&64 != 0 {
			message.ClientSession = nil
		}
		if at != nil && !at.IsValid() {
			return
		}
		written, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(message)
		if err != nil {
			return // Text that is not UTF-8.
		}
		read := &response{}
		envelope, err := codec.UnmarshalResponse(written, read)
		if err != nil || len(envelope.Skipped) > 0 {
			t.Fatalf("%s: %v, skipped %q", written, err, envelope.Skipped)
		}
		if envelope.OK != message.GetOk() || envelope.Session != (message.GetClientSession() != nil) {
			t.Errorf("%s: envelope %+v", written, envelope)
		}
		if read.GetClientSession() != nil {
			read.ClientSession.AdditionalMembers = nil // protojson writes the field itself.
		}
		wantEqual(t, read, message)
	})
}
