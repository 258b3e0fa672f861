package interceptor

import (
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/service/service/seamerr"
)

// controlCharacters returns the strings of a message that have control characters. No identifier has any, and somebody
// who sends one is out to see what a database, a log or a terminal further on makes of it.
func controlCharacters(message protoreflect.Message) []seamerr.Problem {
	var problems []seamerr.Problem
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsList() && field.Kind() == protoreflect.StringKind:
			for i := range value.List().Len() {
				problems = appendControlCharacters(problems, value.List().Get(i).String(), field, strconv.Itoa(i))
			}
		case field.Kind() == protoreflect.StringKind:
			problems = appendControlCharacters(problems, value.String(), field)
		case field.Kind() == protoreflect.MessageKind && !field.IsList():
			for _, nested := range controlCharacters(value.Message()) {
				// A message within a request wraps a list, and in Seam's words the list is the member.
				nested.Path[0] = string(field.Name())
				problems = append(problems, nested)
			}
		}
		return true
	})
	return problems
}

func appendControlCharacters(
	problems []seamerr.Problem, text string, field protoreflect.FieldDescriptor, index ...string,
) []seamerr.Problem {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return problems
	}
	return append(problems, seamerr.Problem{
		Path:    append([]string{string(field.Name())}, index...),
		Message: "Must not contain control characters",
	})
}
