package interceptor

import (
	"errors"
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
)

func newValidator(tb testing.TB) protovalidate.Validator {
	tb.Helper()
	validator, err := protovalidate.New()
	if err != nil {
		tb.Fatal(err)
	}
	return validator
}

// withRule returns a file with a message M of texts and rules for the whole.
func withRule(t *testing.T, expressions ...string) protoreflect.FileDescriptor {
	t.Helper()
	rules := &validate.MessageRules{}
	for _, expression := range expressions {
		rules.Cel = append(rules.Cel, &validate.Rule{Id: new("any"), Message: new("None is set"), Expression: &expression})
	}
	options := &descriptorpb.MessageOptions{}
	proto.SetExtension(options, validate.E_Message, rules)
	text, optional := descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("m.proto"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: new("M"), Options: options,
			Field: []*descriptorpb.FieldDescriptorProto{
				{Name: new("text"), Number: new(int32(1)), Type: text, Label: optional, OneofIndex: new(int32(0)), Proto3Optional: new(true)},
				{Name: new("plain"), Number: new(int32(2)), Type: text, Label: optional},
				{Name: new("in"), Number: new(int32(4)), Type: text, Label: optional},
				{Name: new("ids"), Number: new(int32(3)), Type: text, Label: descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()},
			},
			OneofDecl: []*descriptorpb.OneofDescriptorProto{{Name: new("_text")}},
		}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Rules of another form go to the wrapped validator, and those of the known form have the same result as CEL.
func TestNativeRules(t *testing.T) {
	for name, test := range map[string]struct {
		expressions []string
		known       bool
	}{
		"presence":              {[]string{"has(this.text)"}, true},
		"presence of plain":     {[]string{"has(this.plain)"}, true},
		"presence of a list":    {[]string{"has(this.ids)"}, true},
		"size of a list":        {[]string{"size(this.ids) > 0"}, true},
		"any":                   {[]string{"has(this.text) || has(this.plain) || size(this.ids) > 0"}, true},
		"size of a text":        {[]string{"size(this.text) > 0"}, false},
		"a larger size":         {[]string{"has(this.text) || size(this.ids) > 1"}, false},
		"absence":               {[]string{"!has(this.text)"}, false},
		"all":                   {[]string{"has(this.text) && has(this.plain)"}, false},
		"brackets":              {[]string{"(has(this.text) || has(this.plain))"}, false},
		"two rules":             {[]string{"has(this.text)", "has(this.plain)"}, false},
		"no rule":               {nil, false},
		"a field that is not":   {[]string{"has(this.text) || has(this.nope)"}, false},
		"a rule that is no CEL": {[]string{"has(this.text) || "}, false},
	} {
		t.Run(name, func(t *testing.T) {
			messages := withRule(t, test.expressions...).Messages()
			descriptor := messages.Get(0)
			if known := anyOf(descriptor) != nil; known != test.known {
				t.Fatalf("known: %t", known)
			}
			validator := newValidator(t)
			native := NativeRules(validator, messages)
			wantSameVerdicts(t, descriptor, native, validator)
		})
	}
}

// A rule that cannot be compiled is an error, also for a message that would satisfy it: in is a keyword of CEL.
func TestNativeRulesOfInvalidCEL(t *testing.T) {
	messages, validator := withRule(t, "has(this.in) || has(this.text)").Messages(), newValidator(t)
	native := NativeRules(validator, messages)
	wantSameVerdicts(t, messages.Get(0), native, validator)
	if err := native.Validate(dynamicpb.NewMessage(messages.Get(0))); !errors.As(err, new(*protovalidate.CompilationError)) {
		t.Errorf("error is %v", err)
	}
}

// wantSameVerdicts compares the verdicts on messages with each combination of fields.
func wantSameVerdicts(t *testing.T, descriptor protoreflect.MessageDescriptor, got, want protovalidate.Validator) {
	t.Helper()
	for set := range 16 {
		m := dynamicpb.NewMessage(descriptor)
		fields := descriptor.Fields()
		if set&1 != 0 {
			m.Set(fields.ByName("text"), protoreflect.ValueOfString(""))
		}
		if set&2 != 0 {
			m.Set(fields.ByName("plain"), protoreflect.ValueOfString("p"))
		}
		for range set >> 2 {
			m.Mutable(fields.ByName("ids")).List().Append(protoreflect.ValueOfString(""))
		}
		wantSameVerdict(t, m, got, want)
	}
}

// No rule of the contract may need CEL for a message that keeps it.
func TestNativeRulesKnowTheContract(t *testing.T) {
	messages := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Messages()
	for i := range messages.Len() {
		if proto.HasExtension(messages.Get(i).Options(), validate.E_Message) && anyOf(messages.Get(i)) == nil {
			t.Errorf("%s: the rule is not known", messages.Get(i).Name())
		}
	}
}

func FuzzNativeRules(f *testing.F) {
	messages := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Messages()
	validator := newValidator(f)
	native := NativeRules(validator, messages)
	for i := range messages.Len() {
		for _, text := range []string{"", "\x0a\x00", "\x0a\x01a", "\x12\x00", "\x12\x01k\x1a\x00", "\x32\x01a\x32\x01b", "\x2a\x00"} {
			f.Add(uint8(i), []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		m := dynamicpb.NewMessage(messages.Get(int(which) % messages.Len()))
		if proto.Unmarshal(data, m) == nil {
			wantSameVerdict(t, m, native, validator)
		}
	})
}

// wantSameVerdict fails unless two validators find the same violations: fields, rules and messages.
func wantSameVerdict(t *testing.T, m proto.Message, got, want protovalidate.Validator) {
	t.Helper()
	gotErr, wantErr := got.Validate(m), want.Validate(m)
	if (gotErr == nil) != (wantErr == nil) {
		t.Fatalf("{%v}: %v, want %v", m, gotErr, wantErr)
	}
	var gotInvalid, wantInvalid *protovalidate.ValidationError
	if !errors.As(wantErr, &wantInvalid) {
		return
	}
	if !errors.As(gotErr, &gotInvalid) || !proto.Equal(gotInvalid.ToProto(), wantInvalid.ToProto()) {
		t.Errorf("{%v}: %v, want %v", m, gotErr, wantErr)
	}
}
