package call

import (
	"errors"
	"strconv"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// Rules are the rules of the contract, which protovalidate compiles from the annotations of its messages: one validator
// that stops at the first violation, and one that finds all.
type Rules struct{ first, all protovalidate.Validator }

// NewRules compiles the rules of messages. It fails for a rule that cannot be compiled.
func NewRules(messages protoreflect.MessageDescriptors) (Rules, error) {
	descriptors := make([]protoreflect.MessageDescriptor, messages.Len())
	for i := range descriptors {
		descriptors[i] = messages.Get(i)
	}
	messagesOf := protovalidate.WithMessageDescriptors(descriptors...)
	first, err := protovalidate.New(messagesOf, protovalidate.WithFailFast())
	if err != nil {
		return Rules{}, err
	}
	all, err := protovalidate.New(messagesOf)
	return Rules{first, all}, err
}

// check returns the violations of the rules in a message, in Seam's words. The error is for a rule that cannot be
// evaluated. A message with a long list gets its first violation only: each of the others would cost ten times its
// element.
func (r Rules) check(message proto.Message) ([]seamerr.FieldViolation, error) {
	err := r.first.Validate(message)
	if err != nil && !hasLongList(message.ProtoReflect()) {
		err = r.all.Validate(message)
	}
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		return nil, err
	}
	violations := make([]seamerr.FieldViolation, len(invalid.Violations))
	for i, violation := range invalid.Violations {
		violations[i] = inSeamsWords(violation, pathOf(violation.Proto.GetField()))
	}
	return violations, nil
}

// hasLongList reports whether a message has a list of more elements than an error spells out.
func hasLongList(message protoreflect.Message) (long bool) {
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		long = field.IsList() && value.List().Len() > maxCollected ||
			field.Message() != nil && !field.IsList() && hasLongList(value.Message())
		return !long
	})
	return long
}

// inSeamsWords returns a violation as Seam's own validator would word it. A rule of a kind that Seam's API has not is
// worded by protovalidate or by the contract.
func inSeamsWords(violation *protovalidate.Violation, path []string) seamerr.FieldViolation {
	switch violation.Proto.GetRuleId() {
	case "string.min_len":
		return seamerr.TooShort(violation.RuleValue.Uint(), path...)
	case "string.uuid", "string.uuid_empty":
		return seamerr.InvalidUUID(path...)
	case "repeated.max_items":
		if violation.RuleValue.Uint() == 1 { // The deprecated user_identity_ids, where an empty list is none.
			return seamerr.NotExactlyOne(path...)
		}
		return seamerr.TooLong(violation.RuleValue.Uint(), path...)
	case "required":
		return seamerr.Required(path...)
	default:
		return seamerr.FieldViolation{Path: path, Message: violation.Proto.GetMessage()}
	}
}

// pathOf returns the names and the list indexes that lead to a field. A list of ids within a request is in Seam's JSON
// the member itself.
func pathOf(field *validate.FieldPath) (path []string) {
	for i, element := range field.GetElements() {
		if name := element.GetFieldName(); i == 0 || name != "ids" {
			path = append(path, name)
		}
		if index, ok := element.GetSubscript().(*validate.FieldPathElement_Index); ok {
			path = append(path, strconv.FormatUint(index.Index, 10))
		}
	}
	return path
}
