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

// NativeRules returns a validator that evaluates the message rules of the form "at least one of these fields is set" in
// Go. protovalidate has native code for the rules of fields only and interprets those of messages in CEL, which is
// slow. A message that violates such a rule, or has another one, goes to the wrapped validator. So the contract stays
// the only source of the rules, and the wrapped validator the only source of the violations.
func NativeRules(validator protovalidate.Validator, messages protoreflect.MessageDescriptors) protovalidate.Validator {
	rules := anyOfRules{}
	for i := range messages.Len() {
		// The filter also hides the error of a rule that cannot be compiled, so such a message is not filtered.
		_, err := check(validator, dynamicpb.NewMessage(messages.Get(i)))
		if fields := anyOf(messages.Get(i)); fields != nil && err == nil {
			rules[messages.Get(i)] = fields
		}
	}
	return filtered{validator, []protovalidate.ValidationOption{protovalidate.WithFilter(rules)}}
}

// filtered is a validator with default options.
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

// anyOfRules has the messages whose only message rule is that one of some fields must be set.
type anyOfRules map[protoreflect.MessageDescriptor][]protoreflect.FieldDescriptor

// ShouldValidate reports whether protovalidate has to evaluate the rules of a message, a field or a oneof.
func (a anyOfRules) ShouldValidate(message protoreflect.Message, descriptor protoreflect.Descriptor) bool {
	of, ok := descriptor.(protoreflect.MessageDescriptor)
	if !ok {
		return true
	}
	return !slices.ContainsFunc(a[of], message.Has)
}

// isSet matches one alternative of such a rule in CEL.
var isSet = regexp.MustCompile(`^(?:has\(this\.(\w+)\)|size\(this\.(\w+)\) > 0)$`)

// anyOf returns the fields of which one must be set, nil for a message with other rules or none.
func anyOf(descriptor protoreflect.MessageDescriptor) []protoreflect.FieldDescriptor {
	rules, ok := proto.GetExtension(descriptor.Options(), validate.E_Message).(*validate.MessageRules)
	if !ok || len(rules.GetCel()) != 1 || len(rules.GetCelExpression()) > 0 || len(rules.GetOneof()) > 0 {
		return nil
	}
	var fields []protoreflect.FieldDescriptor
	for alternative := range strings.SplitSeq(rules.GetCel()[0].GetExpression(), " || ") {
		names := isSet.FindStringSubmatch(alternative)
		if names == nil {
			return nil
		}
		field := descriptor.Fields().ByName(protoreflect.Name(names[1] + names[2]))
		if field == nil || (names[2] != "" && !field.IsList()) { // The size of a string is not its presence.
			return nil
		}
		fields = append(fields, field)
	}
	return fields
}
