package seamjson

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// sample returns a value of the field other than its zero, as it is written.
func sample(f *field) string {
	switch {
	case f.list && f.kind == kindMessage:
		return `[{}]`
	case f.list:
		return `["a"]`
	case f.kind == kindMessage:
		return `{}`
	case f.kind == kindBool:
		return `true`
	case f.kind == kindInt:
		return `7`
	case f.kind == kindTimestamp:
		return `"1970-01-01T00:00:01.000Z"`
	default:
		return `"a"`
	}
}

// Each field of the contract is read from its member, and written to it: a request as it came, a response as protojson
// has it.
func TestEveryField(t *testing.T) {
	for goType, table := range contract.messages {
		empty := reflect.Zero(goType).Interface().(proto.Message).ProtoReflect()
		for _, f := range table.fields {
			t.Run(string(f.descriptor.FullName()), func(t *testing.T) {
				text := `{"` + f.name + `":` + sample(f) + `}`
				got, want := empty.New().Interface(), empty.New().Interface()
				if !strings.HasSuffix(string(empty.Descriptor().Name()), "Request") {
					if _, err := readResponse(t, text, got); err != nil {
						t.Error(err)
					}
					if err := protojson.Unmarshal([]byte(text), want); err != nil {
						t.Error(err)
					}
					wantEqual(t, got, want)
					return
				}
				if violations, err := readRequest(text, got); err != nil || len(violations) > 0 || !got.ProtoReflect().Has(f.descriptor) {
					t.Errorf("request %s is read as {%v}, violations %q, error %v", text, got, violations, err)
				}
				if written, err := contract.AppendRequest(nil, got); err != nil || string(written) != text {
					t.Errorf("request is written as %s, error %v, want %s", written, err, text)
				}
			})
		}
	}
}

// Only what stands in a oneof is slow to reach.
func TestFieldsInPlace(t *testing.T) {
	var slow []string
	for _, table := range contract.messages {
		for _, f := range table.fields {
			if f.index < 0 {
				slow = append(slow, string(f.descriptor.FullName()))
			}
		}
	}
	slices.Sort(slow)
	const list = "seam.clientsession.v1.ListRequest."
	if want := []string{list + "connect_webview_id", list + "user_identity_id"}; !slices.Equal(slow, want) {
		t.Errorf("by protoreflect go %q, want %q", slow, want)
	}
}

// FuzzFields reads and writes by protoreflect what stands in the Go structs, and expects no difference.
func FuzzFields(f *testing.F) {
	slow := newCodec()
	for _, table := range slow.messages {
		for _, field := range table.fields {
			if !field.list && field.kind != kindMessage {
				field.structField = structField{index: -1}
			}
		}
	}
	file := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto
	for i := range file.Messages().Len() {
		f.Add(uint8(i), []byte(`{"client_session":{"token":"t","device_count":1,"expires_at":"2025-06-15T16:54:17Z","new":[{"a":null}]},"ok":true}`), "")
		f.Add(uint8(i), []byte(`{"client_sessions":[{"user_identifier_key":"\u00e9","customer_key":5,"connect_webview_ids":["a"]},{}]}`), "")
		f.Add(uint8(i), []byte(`{"user_identity_id":"u","user_identity_ids":["i"],"connect_webview_ids":[]}`), "client_session_id=c")
		f.Add(uint8(i), []byte(`{"connect_webview_id":null,"user_identity_id":"u"}`), "without_user_identifier_key=false")
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte, query string) {
		descriptor := file.Messages().Get(int(which) % file.Messages().Len())
		generated, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
		if err != nil {
			t.Fatal(err)
		}
		read := func(c *Codec) string {
			m := generated.New().Interface()
			if !strings.HasSuffix(string(descriptor.Name()), "Request") {
				envelope, err := c.UnmarshalResponse(data, m)
				return fmt.Sprintf("%s %+v %v", deterministic(t, m), envelope, err)
			}
			violations, err := c.UnmarshalRequest(data, query, m)
			written, writeErr := c.AppendRequest(nil, m)
			return fmt.Sprintf("%s %q %v %s %v", deterministic(t, m), violations, err, written, writeErr)
		}
		if fast, reference := read(contract), read(slow); fast != reference {
			t.Errorf("%s: %s %q:\n%s\n%s", descriptor.Name(), data, query, fast, reference)
		}
	})
}

func deterministic(t *testing.T, m proto.Message) []byte {
	t.Helper()
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Errorf("what was read cannot be written as protobuf: %v", err)
	}
	return text
}
