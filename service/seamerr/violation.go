package seamerr

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// FieldViolation is one violation in the input, in Seam's words.
type FieldViolation struct {
	// Path leads to the invalid value: member names and list indexes. Empty for the request as a whole.
	Path []string

	// Message says what is wrong. It never quotes the value, which may be a secret.
	Message string
}

// The violations, in the words of Seam and of the validator that it uses. path leads to the invalid value; without one
// it is the request as a whole.

const required = "Required"

// Required reports a member that is missing.
func Required(path ...string) FieldViolation { return FieldViolation{path, required} }

// UnexpectedType reports a value of another JSON type than the one that is expected.
func UnexpectedType(expected, received string, path ...string) FieldViolation {
	return FieldViolation{path, "Expected " + expected + ", received " + received}
}

// InvalidDatetime reports a text that is no time.
func InvalidDatetime(path ...string) FieldViolation { return FieldViolation{path, "Invalid datetime"} }

// InvalidUUID reports a text that is no UUID.
func InvalidUUID(path ...string) FieldViolation { return FieldViolation{path, "Invalid uuid"} }

// TooShort reports a text of fewer than least characters.
func TooShort(least uint64, path ...string) FieldViolation {
	return FieldViolation{path, fmt.Sprintf("String must contain at least %d character(s)", least)}
}

// NotExactlyOne reports a list that has to have one element: that of the deprecated user_identity_ids.
func NotExactlyOne(path ...string) FieldViolation {
	return FieldViolation{path, "Array must contain exactly 1 element(s)"}
}

// TooLong reports a list of more than most elements.
func TooLong(most uint64, path ...string) FieldViolation {
	return FieldViolation{path, fmt.Sprintf("Array must contain at most %d element(s)", most)}
}

// UnrecognizedKeys reports members that the request does not have.
func UnrecognizedKeys(names []string) FieldViolation {
	return FieldViolation{nil, "Unrecognized key(s) in object: '" + strings.Join(names, "', '") + "'"}
}

// UnrecognizedFields reports fields of a gRPC message that the request does not have.
func UnrecognizedFields() FieldViolation {
	return FieldViolation{nil, "Unrecognized field(s) in message"}
}

// ControlCharacters reports a text with control characters.
func ControlCharacters(path ...string) FieldViolation {
	return FieldViolation{path, "Must not contain control characters"}
}

// maxFieldViolations bounds how much of a hostile input is spelt out.
const maxFieldViolations = 100

// InvalidInput is the refusal of a request with the given violations: at least one.
func InvalidInput(violations []FieldViolation) *Error {
	if len(violations) > maxFieldViolations {
		violations = violations[:maxFieldViolations]
	}
	e := seamStyleError(http.StatusBadRequest, "invalid_input", summary(violations), nil)
	e.Violations = violations
	return e
}

// summary is the message of an invalid_input error, put together as Seam does it.
func summary(violations []FieldViolation) string {
	if len(violations) == 1 {
		return violations[0].String()
	}
	texts := make([]string, len(violations))
	for i, violation := range violations {
		texts[i] = violation.String()
	}
	return fmt.Sprintf("%d Input Errors: %s", len(violations), strings.Join(texts, ", "))
}

// String is the violation in one line, as it stands in the message of Seam's error.
func (v FieldViolation) String() string {
	path := strings.Join(v.Path, ".")
	switch {
	case path == "":
		return v.Message
	case v.Message == required:
		return path + " is required"
	default:
		return fmt.Sprintf("%s for %q", v.Message, path)
	}
}

// field is the path in the notation of google.rpc.BadRequest: `connected_account_ids[1]`.
func (v FieldViolation) field() string {
	var b strings.Builder
	for i, segment := range v.Path {
		if _, err := strconv.ParseUint(segment, 10, 32); err == nil && i > 0 {
			b.WriteString("[" + segment + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(segment)
	}
	return b.String()
}

// tree is the validation_errors object of Seam's error: a node has `_errors` and one member for each path segment.
func tree(violations []FieldViolation) map[string]any {
	root := map[string]any{"_errors": []string{}}
	for _, violation := range violations {
		node := root
		for _, segment := range violation.Path {
			child, ok := node[segment].(map[string]any)
			if !ok {
				child = map[string]any{"_errors": []string{}}
				node[segment] = child
			}
			node = child
		}
		texts, _ := node["_errors"].([]string)
		node["_errors"] = append(texts, violation.Message)
	}
	return root
}

// violationsOf reads the violations from Seam's validation_errors. A tree of another shape gives none: the rest
// of the error is still of use.
func violationsOf(validationErrors map[string]any) []FieldViolation {
	var violations []FieldViolation
	var walk func(node map[string]any, path []string)
	walk = func(node map[string]any, path []string) {
		if texts, ok := node["_errors"].([]any); ok {
			for _, text := range texts {
				if message, ok := text.(string); ok && len(violations) < maxFieldViolations {
					violations = append(violations, FieldViolation{Path: path, Message: message})
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(node)) {
			if child, ok := node[name].(map[string]any); ok && name != "_errors" && len(path) < maxDepth {
				walk(child, append(slices.Clip(path), name))
			}
		}
	}
	walk(validationErrors, nil)
	return violations
}
