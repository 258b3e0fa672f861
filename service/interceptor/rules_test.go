package interceptor

import (
	"errors"
	"reflect"
	"strconv"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
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

// TestRulesOfContract compares the results for each field of each message, absent and with each of some values, with
// those of protovalidate.
func TestRulesOfContract(t *testing.T) {
	messages, validator := contractMessages(), newReference(t)
	rules, err := NewRules(messages)
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages.Len() {
		descriptor := messages.Get(i)
		wantReference(t, rules, validator, dynamicpb.NewMessage(descriptor))
		for j := range descriptor.Fields().Len() {
			field := descriptor.Fields().Get(j)
			for _, value := range valuesOf(field) {
				m := dynamicpb.NewMessage(descriptor)
				m.Set(field, value(m))
				wantReference(t, rules, validator, m)
			}
		}
	}
}

// valuesOf returns values of a field that rules may accept or refuse.
func valuesOf(field protoreflect.FieldDescriptor) []func(protoreflect.Message) protoreflect.Value {
	const id = "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	var values []func(protoreflect.Message) protoreflect.Value
	add := func(v protoreflect.Value) {
		values = append(values, func(protoreflect.Message) protoreflect.Value { return v })
	}
	texts := []string{
		"", "a", "ä", id, "3ADA79D3-2848-4320-B2EF-A82E1E6DAFAC", id[1:], id + "0", "{" + id[1:35] + "}",
		"3ada79d3a2848-4320-b2ef-a82e1e6dafac", "gada79d3-2848-4320-b2ef-a82e1e6dafac", "00000000-0000-0000-0000-000000000000",
	}
	switch {
	case field.IsList() && field.Kind() == protoreflect.StringKind:
		for _, list := range [][]string{{}, {""}, {id}, {"a"}, {id, id}, {"a", id, ""}} {
			values = append(values, func(m protoreflect.Message) protoreflect.Value {
				v := m.NewField(field)
				for _, text := range list {
					v.List().Append(protoreflect.ValueOfString(text))
				}
				return v
			})
		}
	case field.Kind() == protoreflect.StringKind:
		for _, text := range texts {
			add(protoreflect.ValueOfString(text))
		}
	case field.Kind() == protoreflect.BoolKind:
		add(protoreflect.ValueOfBool(true))
		add(protoreflect.ValueOfBool(false))
	case field.Kind() == protoreflect.EnumKind:
		for number := range 5 {
			add(protoreflect.ValueOfEnum(protoreflect.EnumNumber(number - 1)))
		}
	}
	return values
}

func FuzzRules(f *testing.F) {
	messages, validator := contractMessages(), newReference(f)
	rules, err := NewRules(messages)
	if err != nil {
		f.Fatal(err)
	}
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
	cel := func(expressions ...string) *validate.MessageRules {
		rules := &validate.MessageRules{}
		for _, expression := range expressions {
			rules.Cel = append(rules.Cel, &validate.Rule{Id: new("any"), Message: new("None is set"), Expression: &expression})
		}
		return rules
	}
	text := func(rules *validate.StringRules) *validate.FieldRules {
		return &validate.FieldRules{Type: &validate.FieldRules_String_{String_: rules}}
	}
	list := func(rules *validate.RepeatedRules) *validate.FieldRules {
		return &validate.FieldRules{Type: &validate.FieldRules_Repeated{Repeated: rules}}
	}
	for name, test := range map[string]struct {
		message    *validate.MessageRules
		text, list *validate.FieldRules
		known      bool
	}{
		"none":                         {known: true},
		"presence":                     {message: cel("has(this.text)"), known: true},
		"presence or size":             {message: cel("has(this.text) || size(this.ids) > 0"), known: true},
		"size of a string":             {message: cel("size(this.text) > 0")},
		"a larger size":                {message: cel("has(this.text) || size(this.ids) > 1")},
		"absence":                      {message: cel("!has(this.text)")},
		"all":                          {message: cel("has(this.text) && has(this.ids)")},
		"brackets":                     {message: cel("(has(this.text) || has(this.ids))")},
		"two rules":                    {message: cel("has(this.text)", "has(this.ids)")},
		"another field":                {message: cel("has(this.text) || has(this.nope)")},
		"no CEL":                       {message: cel("has(this.text) || ")},
		"a oneof":                      {message: &validate.MessageRules{Oneof: []*validate.MessageOneofRule{{Fields: []string{"text", "ids"}}}}},
		"minimum length":               {text: text(&validate.StringRules{MinLen: new(uint64(3))}), known: true},
		"UUID":                         {text: text(&validate.StringRules{WellKnown: &validate.StringRules_Uuid{Uuid: true}}), known: true},
		"UUID, switched off":           {text: text(&validate.StringRules{WellKnown: &validate.StringRules_Uuid{Uuid: false}})},
		"maximum length":               {text: text(&validate.StringRules{MaxLen: new(uint64(3))})},
		"minimum and maximum length":   {text: text(&validate.StringRules{MinLen: new(uint64(1)), MaxLen: new(uint64(3))})},
		"e-mail":                       {text: text(&validate.StringRules{WellKnown: &validate.StringRules_Email{Email: true}})},
		"CEL of a field":               {text: &validate.FieldRules{Cel: cel("this != ''").GetCel()}},
		"required":                     {text: &validate.FieldRules{Required: new(true)}, known: true},
		"exactly one":                  {list: list(&validate.RepeatedRules{MinItems: new(uint64(1)), MaxItems: new(uint64(1))}), known: true},
		"one or two":                   {list: list(&validate.RepeatedRules{MinItems: new(uint64(1)), MaxItems: new(uint64(2))})},
		"unique":                       {list: list(&validate.RepeatedRules{Unique: new(true)})},
		"elements of a minimum length": {list: list(&validate.RepeatedRules{MinItems: new(uint64(1)), MaxItems: new(uint64(1)), Items: text(&validate.StringRules{MinLen: new(uint64(1))})})},
		"ignored":                      {text: &validate.FieldRules{Ignore: validate.Ignore_IGNORE_ALWAYS.Enum(), Required: new(true)}},
	} {
		t.Run(name, func(t *testing.T) {
			messages := withRules(t, test.message, test.text, test.list).Messages()
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

// withRules returns a file with a message M of a string and a list, and rules for the whole and for each.
func withRules(t *testing.T, message *validate.MessageRules, text, list *validate.FieldRules) protoreflect.FileDescriptor {
	t.Helper()
	options := &descriptorpb.MessageOptions{}
	if message != nil {
		proto.SetExtension(options, validate.E_Message, message)
	}
	field := func(name string, number int32, label descriptorpb.FieldDescriptorProto_Label, rules *validate.FieldRules) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{
			Name: &name, Number: &number, Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: &label,
			Options: &descriptorpb.FieldOptions{},
		}
		if rules != nil {
			proto.SetExtension(f.GetOptions(), validate.E_Field, rules)
		}
		return f
	}
	one := field("text", 1, descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, text)
	one.OneofIndex, one.Proto3Optional = new(int32(0)), new(true)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("m.proto"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: new("M"), Options: options, OneofDecl: []*descriptorpb.OneofDescriptorProto{{Name: new("_text")}},
			Field: []*descriptorpb.FieldDescriptorProto{one, field("ids", 2, descriptorpb.FieldDescriptorProto_LABEL_REPEATED, list)},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
