package call

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxCollected bounds the violations of each source, so that a hostile request does not cost many times what it takes
// to read it. An error spells out no more than that.
const maxCollected = 100

// validate refuses a request that violates the rules of the contract. The error has its violations, in the order of the
// contract's fields and in Seam's words, so that it reads like one of Seam's.
func (r Rules) validate(c *Call, request proto.Message) *seamerr.Error {
	message := request.ProtoReflect()
	violations := malformed(message, slices.Clip(c.Violations))
	ruleViolations, err := r.check(request)
	switch {
	case err != nil:
		return seamerr.Internal(err)
	case len(violations) == 0 && len(ruleViolations) == 0:
		return nil
	}
	return seamerr.InvalidInput(merge(message.Descriptor(), violations, ruleViolations))
}

// merge merges the violations of reading and of the rules into one list, in the order of the contract. Rules are not
// checked on a value that could not be read, nor rules for the whole request on a request with such a value.
func merge(
	descriptor protoreflect.MessageDescriptor, undecodable, ruleViolations []seamerr.FieldViolation,
) []seamerr.FieldViolation {
	unread := map[string]bool{}
	for _, v := range undecodable {
		unread[strings.Join(v.Path, ".")] = true
	}
	violations := slices.Clone(undecodable)
	for _, v := range ruleViolations {
		if len(v.Path) == 0 && len(undecodable) > 0 || unread[strings.Join(v.Path, ".")] {
			continue
		}
		violations = append(violations, v)
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
