package call

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// reference returns the violations that protovalidate finds, in Seam's words.
func reference(t *testing.T, validator protovalidate.Validator, m proto.Message) []seamerr.FieldViolation {
	t.Helper()
	err := validator.Validate(m)
	var invalid *protovalidate.ValidationError
	if err == nil {
		return nil
	}
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	var violations []seamerr.FieldViolation
	for _, violation := range invalid.Violations {
		var at []string
		for _, element := range violation.Proto.GetField().GetElements() {
			at = append(at, element.GetFieldName())
			if index, ok := element.GetSubscript().(*validate.FieldPathElement_Index); ok {
				at = append(at, strconv.FormatUint(index.Index, 10))
			}
		}
		switch violation.Proto.GetRuleId() {
		case "string.min_len":
			violations = append(violations, seamerr.TooShort(violation.RuleValue.Uint(), at...))
		case "string.uuid", "string.uuid_empty":
			violations = append(violations, seamerr.InvalidUUID(at...))
		case "repeated.min_items", "repeated.max_items":
			violations = append(violations, seamerr.NotExactlyOne(at...))
		case "required":
			violations = append(violations, seamerr.Required(at...))
		default:
			violations = append(violations, seamerr.FieldViolation{Path: at, Message: violation.Proto.GetMessage()})
		}
	}
	return violations
}

func newReference(tb testing.TB) protovalidate.Validator {
	tb.Helper()
	validator, err := protovalidate.New()
	if err != nil {
		tb.Fatal(err)
	}
	return validator
}

// wantReference fails unless the rules find the violations that protovalidate finds.
func wantReference(t *testing.T, rules Rules, validator protovalidate.Validator, m proto.Message) {
	t.Helper()
	descriptor := m.ProtoReflect().Descriptor()
	got := merge(descriptor, nil, rules.check(m.ProtoReflect()))
	want := merge(descriptor, nil, reference(t, validator, m))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s{%v}: violations %v, want %v", descriptor.Name(), m, got, want)
	}
}

// contractMessages are the requests and the responses of the contract.
func contractMessages() protoreflect.MessageDescriptors {
	return clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Messages()
}

func newContractRules(tb testing.TB) Rules {
	tb.Helper()
	rules, err := NewRules(contractMessages())
	if err != nil {
		tb.Fatal(err)
	}
	return rules
}

// TestRulesOfContract compares the results for each field of each message, absent and with each of some values, with
// those of protovalidate.
func TestRulesOfContract(t *testing.T) {
	messages, rules, validator := contractMessages(), newContractRules(t), newReference(t)
	for i := range messages.Len() {
		descriptor := messages.Get(i)
		wantReference(t, rules, validator, dynamicpb.NewMessage(descriptor))
		for j := range descriptor.Fields().Len() {
			field := descriptor.Fields().Get(j)
			for _, value := range valuesOf(field) {
				m := dynamicpb.NewMessage(descriptor)
				m.Set(field, value)
				wantReference(t, rules, validator, m)
			}
		}
	}
}

// valuesOf returns values of a field that rules may accept or refuse.
func valuesOf(field protoreflect.FieldDescriptor) (values []protoreflect.Value) {
	const id = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	switch {
	case field.IsList() && field.Kind() == protoreflect.StringKind:
		for _, texts := range [][]string{{}, {""}, {id}, {"a"}, {id, id}, {"a", id, ""}} {
			list := dynamicpb.NewMessage(field.ContainingMessage()).NewField(field)
			for _, text := range texts {
				list.List().Append(protoreflect.ValueOfString(text))
			}
			values = append(values, list)
		}
	case field.Kind() == protoreflect.StringKind:
		for _, text := range []string{
			"", "a", "ä", id, strings.ToUpper(id), id[1:], id + "0", "{" + id[1:35] + "}", strings.Replace(id, "-", "a", 1),
			"g" + id[1:], "00000000-0000-0000-0000-000000000000",
		} {
			values = append(values, protoreflect.ValueOfString(text))
		}
	case field.Kind() == protoreflect.BoolKind:
		values = append(values, protoreflect.ValueOfBool(true), protoreflect.ValueOfBool(false))
	case field.Kind() == protoreflect.EnumKind:
		for number := range protoreflect.EnumNumber(5) {
			values = append(values, protoreflect.ValueOfEnum(number-1))
		}
	}
	return values
}

func FuzzRules(f *testing.F) {
	messages, rules, validator := contractMessages(), newContractRules(f), newReference(f)
	for i := range messages.Len() {
		for _, text := range []string{"", "\x0a\x00", "\x0a\x01a", "\x12\x00", "\x12\x01k\x1a\x00", "\x32\x01a\x32\x01b", "\x2a\x00", "\x48\x07"} {
			f.Add(uint8(i), []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		m := dynamicpb.NewMessage(messages.Get(int(which) % messages.Len()))
		if proto.Unmarshal(data, m) == nil {
			wantReference(t, rules, validator, m)
		}
	})
}

// TestRulesThatAreNotKnown shows that a rule of another kind is an error and is not dropped.
func TestRulesThatAreNotKnown(t *testing.T) {
	cel := func(expression string) string {
		return fmt.Sprintf("cel {id: 'any' message: 'None is set' expression: %q}", expression)
	}
	for name, test := range map[string]struct {
		// The annotations of the message, of its string and of its list.
		message, text, list string
		known               bool
	}{
		"none":                         {known: true},
		"presence":                     {message: cel("has(this.text)"), known: true},
		"presence or size":             {message: cel("has(this.text) || size(this.ids) > 0"), known: true},
		"size of a string":             {message: cel("size(this.text) > 0")},
		"a larger size":                {message: cel("has(this.text) || size(this.ids) > 1")},
		"absence":                      {message: cel("!has(this.text)")},
		"all":                          {message: cel("has(this.text) && has(this.ids)")},
		"brackets":                     {message: cel("(has(this.text) || has(this.ids))")},
		"two rules":                    {message: cel("has(this.text)") + cel("has(this.ids)")},
		"another field":                {message: cel("has(this.text) || has(this.nope)")},
		"no CEL":                       {message: cel("has(this.text) || ")},
		"a oneof":                      {message: "oneof {fields: ['text', 'ids']}"},
		"minimum length":               {text: "string {min_len: 3}", known: true},
		"UUID":                         {text: "string {uuid: true}", known: true},
		"UUID, switched off":           {text: "string {uuid: false}"},
		"maximum length":               {text: "string {max_len: 3}"},
		"minimum and maximum length":   {text: "string {min_len: 1 max_len: 3}"},
		"e-mail":                       {text: "string {email: true}"},
		"CEL of a field":               {text: cel("this != ''")},
		"required":                     {text: "required: true", known: true},
		"ignored":                      {text: "required: true ignore: IGNORE_ALWAYS"},
		"exactly one":                  {list: "repeated {min_items: 1 max_items: 1}", known: true},
		"one or two":                   {list: "repeated {min_items: 1 max_items: 2}"},
		"unique":                       {list: "repeated {unique: true}"},
		"elements of a minimum length": {list: "repeated {min_items: 1 max_items: 1 items {string {min_len: 1}}}"},
	} {
		t.Run(name, func(t *testing.T) {
			messages := withRules(t, test.message, test.text, test.list)
			rules, err := NewRules(messages)
			if (err == nil) != test.known {
				t.Fatalf("error is %v", err)
			}
			if err != nil {
				return
			}
			descriptor, validator := messages.Get(0), newReference(t)
			for set := range 16 {
				m := dynamicpb.NewMessage(descriptor)
				if set&3 > 0 {
					m.Set(descriptor.Fields().ByName("text"), protoreflect.ValueOfString("aaaa"[:(set&3-1)*2]))
				}
				for range set >> 2 {
					m.Mutable(descriptor.Fields().ByName("ids")).List().Append(protoreflect.ValueOfString(""))
				}
				wantReference(t, rules, validator, m)
			}
		})
	}
}

// withRules returns a message of a string and a list, with annotations for the whole and for each.
func withRules(t *testing.T, message, text, list string) protoreflect.MessageDescriptors {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal(fmt.Appendf(nil, `
		name: "m.proto" syntax: "proto3"
		message_type {
			name: "M" options {[buf.validate.message] {%s}} oneof_decl {name: "_text"}
			field {
				name: "text" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 proto3_optional: true
				options {[buf.validate.field] {%s}}
			}
			field {name: "ids" number: 2 type: TYPE_STRING label: LABEL_REPEATED options {[buf.validate.field] {%s}}}
		}`, message, text, list), &file); err != nil {
		t.Fatal(err)
	}
	descriptor, err := protodesc.NewFile(&file, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return descriptor.Messages()
}
