package interceptor

import (
	"regexp"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// NativeRules returns a validator that spares another one the rules of whole messages that hold, where their meaning
// is plain: protovalidate interprets those in CEL, while it has code for the rules of fields. A rule that does not
// hold, or is not known here, is evaluated as ever, so the messages stay the only source of the rules, and the
// validator that of the violations.
func NativeRules(validator protovalidate.Validator, messages protoreflect.MessageDescriptors) protovalidate.Validator {
	rules := plainRules{}
	for i := range messages.Len() {
		// A rule is left out together with the error of rules that could not be compiled, so there must be none.
		_, err := check(validator, dynamicpb.NewMessage(messages.Get(i)))
		if fields := anyGiven(messages.Get(i)); fields != nil && err == nil {
			rules[messages.Get(i)] = fields
		}
	}
	return filtered{validator, []protovalidate.ValidationOption{protovalidate.WithFilter(rules)}}
}

// filtered validates with options of its own.
type filtered struct {
	protovalidate.Validator

	options []protovalidate.ValidationOption
}

// Validate validates a message.
func (f filtered) Validate(message proto.Message, options ...protovalidate.ValidationOption) error {
	if len(options) > 0 {
		return f.Validator.Validate(message, options...)
	}
	return f.Validator.Validate(message, f.options...)
}

// plainRules has the messages whose only rule as a whole is that one of some fields must be given.
type plainRules map[protoreflect.MessageDescriptor][]protoreflect.FieldDescriptor

// ShouldValidate says whether the rules of a message, a field or a oneof have to be evaluated.
func (p plainRules) ShouldValidate(message protoreflect.Message, descriptor protoreflect.Descriptor) bool {
	of, ok := descriptor.(protoreflect.MessageDescriptor)
	if !ok {
		return true
	}
	return !slices.ContainsFunc(p[of], message.Has)
}

// given is one alternative of a rule in CEL that asks for one of some fields.
var given = regexp.MustCompile(`^(?:has\(this\.(\w+)\)|size\(this\.(\w+)\) > 0)$`)

// anyGiven returns the fields of which one must be given, nil for a message with other rules or none.
func anyGiven(descriptor protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	rules, ok := proto.GetExtension(descriptor.Options(), validate.E_Message).(*validate.MessageRules)
	if !ok || len(rules.GetCel()) != 1 || len(rules.GetCelExpression()) > 0 || len(rules.GetOneof()) > 0 {
		return nil
	}
	var fields []protoreflect.FieldDescriptor
	for alternative := range strings.SplitSeq(rules.GetCel()[0].GetExpression(), " || ") {
		names := given.FindStringSubmatch(alternative)
		if names == nil {
			return nil
		}
		field := descriptor.Fields().ByName(protoreflect.Name(names[1] + names[2]))
		if field == nil || (names[2] != "" && !field.IsList()) { // The size of a text is no question of presence.
			return nil
		}
		fields = append(fields, field)
	}
	return fields
}
