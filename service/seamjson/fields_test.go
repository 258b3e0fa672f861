package seamjson

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

func contractCodec(tb testing.TB) *Codec {
	tb.Helper()
	codec, err := New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto,
	)
	if err != nil {
		tb.Fatal(err)
	}
	return codec
}

// sample returns a value of the field other than its zero, as protoreflect and as JSON.
func sample(m protoreflect.Message, f *field) (protoreflect.Value, string) {
	v := m.NewField(f.descriptor)
	switch {
	case f.ids >= 0:
		ids := v.Message().Mutable(v.Message().Descriptor().Fields().ByName("ids")).List()
		ids.Append(protoreflect.ValueOfString("of " + f.name))
		return v, `["of ` + f.name + `"]`
	case f.list && f.kind == kindString:
		v.List().Append(protoreflect.ValueOfString("of " + f.name))
		return v, `["of ` + f.name + `"]`
	case f.list:
		v.List().Append(v.List().NewElement())
		return v, `[{}]`
	case f.kind == kindMessage:
		return v, `{}`
	case f.kind == kindBool:
		return protoreflect.ValueOfBool(true), `true`
	case f.kind == kindInt:
		return protoreflect.ValueOfInt32(7), `7`
	case f.kind == kindTimestamp:
		return protoreflect.ValueOfMessage((&timestamppb.Timestamp{Seconds: 1}).ProtoReflect()), `"1970-01-01T00:00:01.000Z"`
	default:
		return protoreflect.ValueOfString("of " + f.name), `"of ` + f.name + `"`
	}
}

// Each field of the contract is read from its member, and written to it, as protoreflect has it.
func TestEveryField(t *testing.T) {
	codec := contractCodec(t)
	for goType, table := range codec.messages {
		empty := reflect.Zero(goType).Interface().(proto.Message).ProtoReflect()
		for _, f := range table.fields {
			t.Run(string(f.descriptor.FullName()), func(t *testing.T) {
				want := empty.New()
				v, text := sample(want, f)
				want.Set(f.descriptor, v)
				text = `{"` + f.name + `":` + text + `}`
				got := empty.New().Interface()
				if _, err := codec.UnmarshalResponse([]byte(text), got); err != nil || !proto.Equal(got, want.Interface()) {
					t.Errorf("response %s is read as {%v}, error %v", text, got, err)
				}
				if !strings.HasSuffix(string(empty.Descriptor().Name()), "Request") {
					return
				}
				got = empty.New().Interface()
				if p, err := codec.UnmarshalRequest([]byte(text), "", got); err != nil || len(p) > 0 || !proto.Equal(got, want.Interface()) {
					t.Errorf("request %s is read as {%v}, violations %q, error %v", text, got, p, err)
				}
				if written, err := codec.AppendRequest(nil, got); err != nil || string(written) != text {
					t.Errorf("request is written as %s, error %v, want %s", written, err, text)
				}
			})
		}
	}
}

// Only what stands in a oneof is slow to reach.
func TestFieldsInPlace(t *testing.T) {
	var slow []string
	for _, table := range contractCodec(t).messages {
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
	codec, slow := contractCodec(f), contractCodec(f)
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
		read := func(c *Codec) string {
			for goType := range c.messages {
				m := reflect.New(goType.Elem()).Interface().(proto.Message)
				if m.ProtoReflect().Descriptor() != descriptor {
					continue
				}
				if !strings.HasSuffix(string(descriptor.Name()), "Request") {
					envelope, err := c.UnmarshalResponse(data, m)
					checked, checkErr := c.CheckResponse(data, m)
					if !reflect.DeepEqual(envelope, checked) || fmt.Sprint(err) != fmt.Sprint(checkErr) {
						t.Errorf("%+v, %v when it is read; %+v, %v when it is checked", envelope, err, checked, checkErr)
					}
					return fmt.Sprintf("%s %+v %v", deterministic(t, m), envelope, err)
				}
				violations, err := c.UnmarshalRequest(data, query, m)
				written, writeErr := c.AppendRequest(nil, m)
				return fmt.Sprintf("%s %q %v %s %v", deterministic(t, m), violations, err, written, writeErr)
			}
			return ""
		}
		if fast, reference := read(codec), read(slow); fast != reference {
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
