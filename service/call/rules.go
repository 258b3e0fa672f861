package call

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// Rules are the rules of the contract, compiled from its protovalidate annotations at the start of the service. The
// contract uses a few kinds of rules only. protovalidate brings CEL, for the rules of a whole message, which would be a
// quarter of the binary; the tests compare the results of both.
type Rules map[protoreflect.FullName]*messageRules

// messageRules are the rules of one message: those of its fields, and the fields of which at least one has to be set,
// with the message of the violation.
type messageRules struct {
	fields  []fieldRules
	anyOf   []protoreflect.FieldDescriptor
	message string
}

// fieldRules are the rules of one field.
type fieldRules struct {
	field    protoreflect.FieldDescriptor
	required bool
	// always is true when the rules apply to an absent field too: one without presence.
	always bool
	// minLen is the minimum length of a string in characters. uuid is true for a string, or each element of a list, that
	// has to be a UUID.
	minLen uint64
	uuid   bool
	// exactlyOne is true for a list of one element, defined for an enum of the contract's values only, and isTrue for a
	// bool that has to be true.
	exactlyOne, defined, isTrue bool
}

// NewRules compiles the rules of messages. It fails for a rule of an unknown kind, which must not be dropped.
func NewRules(messages protoreflect.MessageDescriptors) (Rules, error) {
	all := Rules{}
	for i := range messages.Len() {
		message := messages.Get(i)
		rules := &messageRules{}
		if err := rules.compileMessage(message); err != nil {
			return nil, fmt.Errorf("%s: %w", message.FullName(), err)
		}
		for j := range message.Fields().Len() {
			field := message.Fields().Get(j)
			if err := rules.compileField(field); err != nil {
				return nil, fmt.Errorf("%s: %w", field.FullName(), err)
			}
		}
		all[message.FullName()] = rules
	}
	for i := range messages.Len() {
		for j := range messages.Get(i).Fields().Len() {
			if within := messages.Get(i).Fields().Get(j).Message(); within != nil && !all[within.FullName()].empty() {
				return nil, fmt.Errorf("%s: rules of a message within a message are not known", within.FullName())
			}
		}
	}
	return all, nil
}

func (r *messageRules) empty() bool { return r == nil || len(r.fields) == 0 && len(r.anyOf) == 0 }

// isSet matches one alternative of a rule in CEL by which one of some fields has to be set.
var isSet = regexp.MustCompile(`^(?:has\(this\.(\w+)\)|size\(this\.(\w+)\) > 0)$`)

func (r *messageRules) compileMessage(message protoreflect.MessageDescriptor) error {
	annotation, ok := proto.GetExtension(message.Options(), validate.E_Message).(*validate.MessageRules)
	if !ok || proto.Size(annotation) == 0 {
		return nil
	}
	rest := proto.CloneOf(annotation)
	rest.Cel = nil
	if proto.Size(rest) > 0 || len(annotation.GetCel()) != 1 {
		return fmt.Errorf("the rule %v is not known", annotation)
	}
	r.message = annotation.GetCel()[0].GetMessage()
	for alternative := range strings.SplitSeq(annotation.GetCel()[0].GetExpression(), " || ") {
		names := isSet.FindStringSubmatch(alternative)
		if names == nil {
			return fmt.Errorf("the expression %q is not known", alternative)
		}
		field := message.Fields().ByName(protoreflect.Name(names[1] + names[2]))
		if field == nil || (names[2] != "" && !field.IsList()) { // The size of a string is not its presence.
			return fmt.Errorf("the expression %q does not fit a field", alternative)
		}
		r.anyOf = append(r.anyOf, field)
	}
	return nil
}

// compileField adds the rules of a field, if it has any.
func (r *messageRules) compileField(field protoreflect.FieldDescriptor) error {
	annotation, ok := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
	if !ok || proto.Size(annotation) == 0 {
		return nil
	}
	compiled := fieldRules{
		field: field, required: annotation.GetRequired(),
		always: !field.HasPresence() && annotation.GetIgnore() != validate.Ignore_IGNORE_IF_ZERO_VALUE,
		minLen: annotation.GetString().GetMinLen(), defined: annotation.GetEnum().GetDefinedOnly(),
		uuid:       annotation.GetString().GetUuid() || annotation.GetRepeated().GetItems().GetString().GetUuid(),
		isTrue:     annotation.GetBool().GetConst(),
		exactlyOne: annotation.GetRepeated().GetMinItems() == 1 && annotation.GetRepeated().GetMaxItems() == 1,
	}
	ignoresZero := annotation.GetIgnore() == validate.Ignore_IGNORE_IF_ZERO_VALUE && !field.HasPresence()
	if annotation.GetIgnore() != validate.Ignore_IGNORE_UNSPECIFIED && !ignoresZero ||
		!proto.Equal(annotation, compiled.annotation(annotation)) {
		return fmt.Errorf("the rule %v is not known", annotation)
	}
	r.fields = append(r.fields, compiled)
	return nil
}

// annotation returns the annotation of the compiled rules. It equals the original one unless that has other rules too.
func (r *fieldRules) annotation(like *validate.FieldRules) *validate.FieldRules {
	written := &validate.FieldRules{Required: like.Required, Ignore: like.Ignore}
	text := &validate.StringRules{}
	if r.minLen > 0 {
		text.MinLen = &r.minLen
	}
	if r.uuid {
		text.WellKnown = &validate.StringRules_Uuid{Uuid: true}
	}
	switch {
	case r.exactlyOne:
		list := &validate.RepeatedRules{MinItems: new(uint64(1)), MaxItems: new(uint64(1))}
		if r.uuid {
			list.Items = &validate.FieldRules{Type: &validate.FieldRules_String_{String_: text}}
		}
		written.Type = &validate.FieldRules_Repeated{Repeated: list}
	case r.defined:
		written.Type = &validate.FieldRules_Enum{Enum: &validate.EnumRules{DefinedOnly: &r.defined}}
	case r.isTrue:
		written.Type = &validate.FieldRules_Bool{Bool: &validate.BoolRules{Const: &r.isTrue}}
	case proto.Size(text) > 0:
		written.Type = &validate.FieldRules_String_{String_: text}
	}
	return written
}

// check returns the violations of the rules in a message.
func (r Rules) check(message protoreflect.Message) []seamerr.FieldViolation {
	rules := r[message.Descriptor().FullName()]
	if rules == nil {
		return nil
	}
	var violations []seamerr.FieldViolation
	if len(rules.anyOf) > 0 && !slices.ContainsFunc(rules.anyOf, message.Has) {
		violations = append(violations, seamerr.FieldViolation{Message: rules.message})
	}
	for i := range rules.fields {
		field := &rules.fields[i]
		switch has := message.Has(field.field); {
		case !has && field.required:
			violations = append(violations, seamerr.Required(string(field.field.Name())))
		case has, field.always:
			violations = field.check(message.Get(field.field), violations)
		}
	}
	return violations
}

// check appends the violations in a value.
func (r *fieldRules) check(value protoreflect.Value, violations []seamerr.FieldViolation) []seamerr.FieldViolation {
	name := string(r.field.Name())
	switch {
	case r.exactlyOne:
		list := value.List()
		if list.Len() != 1 {
			violations = append(violations, seamerr.NotExactlyOne(name))
		}
		for i := range list.Len() {
			if r.uuid && !isUUID(list.Get(i).String()) {
				violations = append(violations, seamerr.InvalidUUID(name, strconv.Itoa(i)))
			}
		}
	case r.defined && r.field.Enum().Values().ByNumber(value.Enum()) == nil:
		violations = append(violations, seamerr.UndefinedValue(name))
	case r.isTrue && !value.Bool():
		violations = append(violations, seamerr.NotTrue(name))
	case r.minLen > 0 && uint64(utf8.RuneCountInString(value.String())) < r.minLen: //nolint:gosec // It is not negative.
		violations = append(violations, seamerr.TooShort(r.minLen, name))
	case r.uuid && !isUUID(value.String()):
		violations = append(violations, seamerr.InvalidUUID(name))
	}
	return violations
}

// isUUID reports whether a text is a UUID in its usual form, of any version and case.
func isUUID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i := range len(text) {
		c := text[i]
		if hyphen := i == 8 || i == 13 || i == 18 || i == 23; hyphen != (c == '-') {
			return false
		}
		digit, letter := '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'f'
		if c != '-' && !digit && !letter {
			return false
		}
	}
	return true
}
