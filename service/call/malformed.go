package call

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// malformed appends the violations for which the contract has no rule, since they apply to every field: unknown fields,
// invalid times and control characters.
func malformed(message protoreflect.Message, violations []seamerr.FieldViolation) []seamerr.FieldViolation {
	if len(message.GetUnknown()) > 0 {
		// A field that this version of the contract does not know may be a restriction that a newer caller relies on:
		// dropping it would grant more than was requested.
		violations = append(violations, seamerr.UnrecognizedFields())
	}
	fields := message.Descriptor().Fields() // Range would allocate for each field.
	for i := range fields.Len() {
		field := fields.Get(i)
		if !message.Has(field) {
			continue
		}
		name, value := string(field.Name()), message.Get(field)
		switch {
		case field.IsList() && field.Kind() == protoreflect.StringKind:
			violations = malformedElements(name, value.List(), violations)
		case field.Kind() == protoreflect.StringKind:
			if text.HasControlCharacters(value.String()) {
				violations = append(violations, seamerr.ControlCharacters(name))
			}
		case field.Kind() == protoreflect.MessageKind && !field.IsList():
			violations = append(violations, malformedWithin([]string{name}, value.Message())...)
		}
	}
	return violations
}

// malformedElements appends the violations of the first elements of a list that have one.
func malformedElements(
	name string, list protoreflect.List, violations []seamerr.FieldViolation,
) []seamerr.FieldViolation {
	end := len(violations) + maxCollected
	for i := range list.Len() {
		if text.HasControlCharacters(list.Get(i).String()) {
			violations = append(violations, seamerr.ControlCharacters(name, strconv.Itoa(i)))
			if len(violations) == end {
				break
			}
		}
	}
	return violations
}

// malformedWithin returns the violations of a message within a request: a time, or a list of ids, which in Seam's JSON
// is the member itself.
func malformedWithin(path []string, message protoreflect.Message) []seamerr.FieldViolation {
	if stamp, ok := message.Interface().(*timestamppb.Timestamp); ok && stamp.CheckValid() != nil {
		return []seamerr.FieldViolation{seamerr.InvalidDatetime(path...)}
	}
	violations := malformed(message, nil)
	for i, v := range violations {
		violations[i].Path = slices.Concat(path, v.Path[min(1, len(v.Path)):])
	}
	return violations
}
