package interceptor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// Validation refuses a request that violates the rules of the contract. The error has all violations, in the order of
// the contract's fields and in Seam's words, so that it reads like one of Seam's.
func Validation(validator protovalidate.Validator) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		call := callinfo.FromContext(ctx)
		message, ok := request.(proto.Message)
		if !ok {
			return nil, seamerr.Internal(fmt.Errorf("request of type %T is no message", request))
		}
		violations := append(slices.Clone(call.Violations), malformed(message.ProtoReflect())...)
		ruleViolations, err := check(validator, message)
		if err != nil {
			return nil, seamerr.Internal(err)
		}
		if len(violations) == 0 && len(ruleViolations) == 0 {
			return handler(ctx, request)
		}
		if violations = merge(message.ProtoReflect().Descriptor(), violations, ruleViolations); len(violations) > 0 {
			return nil, seamerr.InvalidInput(violations)
		}
		return handler(ctx, request)
	}
}

// check returns the violations of the contract's rules.
func check(validator protovalidate.Validator, message proto.Message) ([]seamerr.FieldViolation, error) {
	err := validator.Validate(message)
	if err == nil {
		return nil, nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return nil, fmt.Errorf("validate the request: %w", err)
	}
	violations := make([]seamerr.FieldViolation, 0, len(invalid.Violations))
	for _, violation := range invalid.Violations {
		violations = append(violations, inSeamsWords(violation))
	}
	return violations, nil
}

// merge merges the violations of reading and of the rules into one list, in the order of the contract. Rules are not
// checked on a value that could not be read, nor rules for the whole request on a request with such a value.
func merge(
	descriptor protoreflect.MessageDescriptor, undecodable, ruleViolations []seamerr.FieldViolation,
) []seamerr.FieldViolation {
	violations := slices.Clone(undecodable)
	for _, v := range ruleViolations {
		known := slices.ContainsFunc(undecodable, func(u seamerr.FieldViolation) bool {
			return len(v.Path) == 0 || slices.Equal(u.Path, v.Path)
		})
		if !known {
			violations = append(violations, v)
		}
	}
	slices.SortStableFunc(violations, func(a, b seamerr.FieldViolation) int {
		return cmp.Or(cmp.Compare(fieldOf(descriptor, a), fieldOf(descriptor, b)), cmp.Compare(indexOf(a), indexOf(b)))
	})
	return violations
}

// fieldOf returns the index of the violation's field in the contract. Violations of the whole request are last.
func fieldOf(descriptor protoreflect.MessageDescriptor, p seamerr.FieldViolation) int {
	if len(p.Path) > 0 {
		if field := descriptor.Fields().ByName(protoreflect.Name(p.Path[0])); field != nil {
			return field.Index()
		}
	}
	return descriptor.Fields().Len()
}

// indexOf returns the index of the violation in its list. Violations of the whole list are first.
func indexOf(p seamerr.FieldViolation) int {
	if len(p.Path) > 1 {
		if index, err := strconv.Atoi(p.Path[1]); err == nil {
			return index
		}
	}
	return -1
}

func path(field *validate.FieldPath) []string {
	var segments []string
	for _, element := range field.GetElements() {
		segments = append(segments, element.GetFieldName())
		if index, ok := element.GetSubscript().(*validate.FieldPathElement_Index); ok {
			segments = append(segments, strconv.FormatUint(index.Index, 10))
		}
	}
	return segments
}

// inSeamsWords returns the violation of a rule in Seam's words, which are those of the validator that Seam uses. A
// custom rule has its message in the contract.
func inSeamsWords(violation *protovalidate.Violation) seamerr.FieldViolation {
	at := path(violation.Proto.GetField())
	switch violation.Proto.GetRuleId() {
	case "string.min_len":
		return seamerr.TooShort(violation.RuleValue.Uint(), at...)
	case "string.uuid", "string.uuid_empty":
		return seamerr.InvalidUUID(at...)
	case "repeated.min_items", "repeated.max_items":
		return seamerr.NotExactlyOne(at...)
	case "required":
		return seamerr.Required(at...)
	default:
		return seamerr.FieldViolation{Path: at, Message: violation.Proto.GetMessage()}
	}
}
