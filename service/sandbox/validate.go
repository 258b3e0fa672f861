package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// field declares one parameter of an endpoint. The order of the declarations
// is the order in which violations are reported.
type field struct {
	name       string
	kind       kind // kind is a string, a boolean, or an array of strings.
	required   bool
	nullable   bool
	notEmpty   bool
	uuid       bool // uuid holds for a string, or for the elements of an array.
	datetime   bool
	exactlyOne bool
}

func createFields() []field {
	customer := []field{
		{name: "customer_id", kind: kindString},
		{name: "customer_key", kind: kindString, notEmpty: true},
	}
	return slices.Insert(getOrCreateFields(), 2, customer...)
}

func getOrCreateFields() []field {
	return []field{
		{name: "connect_webview_ids", kind: kindArray},
		{name: "connected_account_ids", kind: kindArray},
		{name: "expires_at", kind: kindString, datetime: true},
		{name: "user_identifier_key", kind: kindString, notEmpty: true},
		{name: "user_identity_id", kind: kindString, uuid: true},
		{name: "user_identity_ids", kind: kindArray, uuid: true, exactlyOne: true},
	}
}

func getFields() []field {
	return []field{
		{name: "client_session_id", kind: kindString, uuid: true},
		{name: "user_identifier_key", kind: kindString, notEmpty: true},
	}
}

func listFields() []field {
	return []field{
		{name: "client_session_id", kind: kindString, notEmpty: true},
		{name: "user_identifier_key", kind: kindString, notEmpty: true},
		{name: "connect_webview_id", kind: kindString, nullable: true},
		{name: "user_identity_id", kind: kindString, nullable: true},
		{name: "without_user_identifier_key", kind: kindBoolean},
	}
}

func grantAccessFields() []field {
	return []field{
		{name: "client_session_id", kind: kindString},
		{name: "user_identifier_key", kind: kindString, notEmpty: true},
		{name: "connect_webview_ids", kind: kindArray},
		{name: "connected_account_ids", kind: kindArray},
		{name: "user_identity_id", kind: kindString},
		{name: "user_identity_ids", kind: kindArray, exactlyOne: true},
	}
}

func sessionIDFields() []field {
	return []field{{name: "client_session_id", kind: kindString, required: true, uuid: true}}
}

// input holds the parameters of a request after validation, by name.
type input map[string]value

func (in input) has(name string) bool {
	_, ok := in[name]
	return ok
}

func (in input) text(name string) string {
	return in[name].text
}

func (in input) texts(name string) []string {
	var texts []string
	for _, item := range in[name].items {
		texts = append(texts, item.text)
	}
	return texts
}

// violation is one violation of the rules for an input.
type violation struct {
	path []string
	msg  string
}

// validate checks the whole input and reports every violation at once.
func validate(e endpoint, root value) (input, []violation) {
	if root.kind != kindObject {
		return nil, []violation{{msg: fmt.Sprintf(msgWrongKind, kindObject, root.kind)}}
	}
	in := input{}
	var unknown []string
	for _, m := range root.members {
		in[m.name] = m.value
		if _, known := e.field(m.name); !known {
			unknown = append(unknown, m.name)
		}
	}
	var violations []violation
	for _, f := range e.fields {
		v, present := in[f.name]
		switch {
		case present:
			violations = append(violations, f.check(v)...)
		case f.required:
			violations = append(violations, violation{[]string{f.name}, msgRequired})
		}
	}
	if len(unknown) > 0 {
		violations = append(violations, violation{msg: fmt.Sprintf(msgUnknownMembers, strings.Join(unknown, "', '"))})
	}
	if len(violations) == 0 && e.refine != nil {
		violations = e.refine(in)
	}
	return in, violations
}

func (f field) check(v value) []violation {
	switch {
	case v.kind == kindNull && f.nullable:
		return nil
	case v.kind == kindArray && f.kind == kindArray:
		return f.checkItems(v.items)
	}
	return f.checkOne(f.kind, v, f.name)
}

func (f field) checkItems(items []value) []violation {
	var violations []violation
	if f.exactlyOne && len(items) != 1 {
		violations = append(violations, violation{[]string{f.name}, msgNotOne})
	}
	for i, item := range items {
		violations = append(violations, f.checkOne(kindString, item, f.name, strconv.Itoa(i))...)
	}
	return violations
}

// checkOne checks a value that is no list, or that should be one.
func (f field) checkOne(want kind, v value, path ...string) []violation {
	switch {
	case v.kind != want:
		return []violation{{path, fmt.Sprintf(msgWrongKind, want, v.kind)}}
	case f.notEmpty && v.text == "":
		return []violation{{path, msgEmpty}}
	case f.uuid && !isUUID(v.text):
		return []violation{{path, msgNotUUID}}
	case f.datetime && !isDatetime(v.text):
		return []violation{{path, msgNotDatetime}}
	}
	return nil
}

// isUUID accepts the hyphenated form of any version and nothing else. The uuid
// package also accepts braces, a URN and no hyphens, each of another length.
func isUUID(text string) bool {
	return len(text) == 36 && uuid.Validate(text) == nil
}

func errViolations(violations []violation) *apiError {
	messages := make([]string, len(violations))
	tree := &errorTree{}
	for i, p := range violations {
		messages[i] = p.String()
		tree.add(p.path, p.msg)
	}
	message := messages[0]
	if len(messages) > 1 {
		message = fmt.Sprintf("%d Input Errors: %s", len(messages), strings.Join(messages, ", "))
	}
	err := errInput(message)
	err.validation = tree
	return err
}

// String is the violation in the words of the error's message.
func (p violation) String() string {
	path := strings.Join(p.path, ".")
	switch {
	case path == "":
		return p.msg
	case p.msg == msgRequired:
		return path + " is required"
	default:
		return fmt.Sprintf(`%s for "%s"`, p.msg, path)
	}
}

// errorTree arranges the violations by path, as validation_errors shows them.
type errorTree struct {
	errors   []string
	children map[string]*errorTree
}

func (t *errorTree) add(path []string, msg string) {
	if len(path) == 0 {
		t.errors = append(t.errors, msg)
		return
	}
	if t.children == nil {
		t.children = map[string]*errorTree{}
	}
	child := t.children[path[0]]
	if child == nil {
		child = &errorTree{}
		t.children[path[0]] = child
	}
	child.add(path[1:], msg)
}

// MarshalJSON puts the messages of a node next to its children, in a member
// whose name no field has.
func (t *errorTree) MarshalJSON() ([]byte, error) {
	node := map[string]any{"_errors": append([]string{}, t.errors...)}
	for name, child := range t.children {
		node[name] = child
	}
	return json.Marshal(node)
}
