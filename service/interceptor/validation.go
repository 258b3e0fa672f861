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

// Validation refuses a request that breaks the rules of the contract. All problems
// are told at once, in the order of the contract's fields and in Seam's words, so that a response given here reads like
// one of Seam's.
func Validation(validator protovalidate.Validator) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		call := callinfo.FromContext(ctx)
		message, ok := request.(proto.Message)
		if !ok {
			return nil, seamerr.Internal(fmt.Errorf("request of type %T is no message", request))
		}
		problems := append(slices.Clone(call.Violations), malformed(message.ProtoReflect())...)
		broken, err := check(validator, message)
		if err != nil {
			return nil, seamerr.Internal(err)
		}
		if problems = merge(message.ProtoReflect().Descriptor(), problems, broken); len(problems) > 0 {
			return nil, seamerr.InvalidInput(problems)
		}
		return handler(ctx, request)
	}
}

// check returns the rules that the message breaks.
func check(validator protovalidate.Validator, message proto.Message) ([]seamerr.FieldViolation, error) {
	err := validator.Validate(message)
	if err == nil {
		return nil, nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		return nil, fmt.Errorf("validate the request: %w", err)
	}
	problems := make([]seamerr.FieldViolation, 0, len(invalid.Violations))
	for _, violation := range invalid.Violations {
		problems = append(problems, inSeamsWords(violation))
	}
	return problems, nil
}

// merge puts the problems of reading and of checking into one list in the order of the contract. A value that could not
// be read has nothing to check, and a request with such a value cannot be judged as a whole.
func merge(
	descriptor protoreflect.MessageDescriptor, unread, broken []seamerr.FieldViolation,
) []seamerr.FieldViolation {
	problems := slices.Clone(unread)
	for _, problem := range broken {
		known := slices.ContainsFunc(unread, func(u seamerr.FieldViolation) bool {
			return len(problem.Path) == 0 || slices.Equal(u.Path, problem.Path)
		})
		if !known {
			problems = append(problems, problem)
		}
	}
	slices.SortStableFunc(problems, func(a, b seamerr.FieldViolation) int {
		return cmp.Or(cmp.Compare(fieldOf(descriptor, a), fieldOf(descriptor, b)), cmp.Compare(indexOf(a), indexOf(b)))
	})
	return problems
}

// fieldOf returns the place of the problem's field in the contract; what is about the whole comes last.
func fieldOf(descriptor protoreflect.MessageDescriptor, p seamerr.FieldViolation) int {
	if len(p.Path) > 0 {
		if field := descriptor.Fields().ByName(protoreflect.Name(p.Path[0])); field != nil {
			return field.Index()
		}
	}
	return descriptor.Fields().Len()
}

// indexOf returns the place of the problem in its list; what is about the list comes first.
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

// inSeamsWords is a broken rule in Seam's words. A rule of the contract's own has its words in the contract.
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
