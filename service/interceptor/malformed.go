package interceptor

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// malformed returns what is wrong with a message that no rule of the contract says, since it goes for every field:
// fields that the contract does not have, times that are none, and control characters.
func malformed(message protoreflect.Message) []seamerr.FieldViolation {
	var problems []seamerr.FieldViolation
	if len(message.GetUnknown()) > 0 {
		// A field that this version of the contract does not know may be a restriction that a newer caller counts on:
		// dropping it would grant more than was asked for.
		problems = append(problems, seamerr.UnrecognizedFields())
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		path := []string{string(field.Name())}
		switch {
		case field.IsList() && field.Kind() == protoreflect.StringKind:
			for i := range value.List().Len() {
				problems = appendControlCharacters(problems, value.List().Get(i).String(), append(path, strconv.Itoa(i)))
			}
		case field.Kind() == protoreflect.StringKind:
			problems = appendControlCharacters(problems, value.String(), path)
		case field.Kind() == protoreflect.MessageKind && !field.IsList():
			problems = append(problems, malformedWithin(path, value.Message())...)
		}
		return true
	})
	return problems
}

// malformedWithin returns what is wrong with a message within a request: a time, or a list of ids, which in Seam's
// words is the member itself.
func malformedWithin(path []string, message protoreflect.Message) []seamerr.FieldViolation {
	if stamp, ok := message.Interface().(*timestamppb.Timestamp); ok && stamp.CheckValid() != nil {
		return []seamerr.FieldViolation{seamerr.InvalidDatetime(path...)}
	}
	problems := malformed(message)
	for i, problem := range problems {
		problems[i].Path = slices.Concat(path, problem.Path[min(1, len(problem.Path)):])
	}
	return problems
}

// appendControlCharacters adds a problem for a text with control characters. No identifier has any, and somebody who
// sends one is out to see what a database, a log or a terminal further on makes of it.
func appendControlCharacters(problems []seamerr.FieldViolation, text string, path []string) []seamerr.FieldViolation {
	if !strings.ContainsFunc(text, unicode.IsControl) {
		return problems
	}
	return append(problems, seamerr.ControlCharacters(path...))
}
