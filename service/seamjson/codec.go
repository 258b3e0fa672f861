// Package seamjson reads Seam's JSON straight into the messages of the contract, and writes requests in it.
//
// Seam's JSON differs from protobuf's own mapping: a null is refused where Seam refuses it, an empty list is not the
// same as none, and an error names the invalid member in Seam's words and never quotes a value. The tables that each
// message needs are built once; reading and writing takes a fraction of protojson's time (see the benchmark).
package seamjson

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// Codec reads and writes the messages of the files it was made for. It is safe for concurrent use.
type Codec struct {
	messages map[reflect.Type]*message
	readers  sync.Pool
	// lenient are the rules for the JSON of responses: a duplicate member or invalid UTF-8 is no reason to
	// reject one.
	lenient []jsontext.Options
}

// message is what the codec knows of one message.
type message struct {
	goStruct reflect.Type

	fields []*field
	byName map[string]*field
	// additional is the field for the members of a response that the contract does not know, nil where there is none.
	additional *field
	// bodyOnly is true for a request that Seam does not read from the query string.
	bodyOnly bool
}

// field is what the codec knows of one field.
type field struct {
	structField

	descriptor protoreflect.FieldDescriptor
	// position is its place in the table.
	position int
	name     string
	kind     kind
	// quoted is the member's name as it is written: quoted, with the colon.
	quoted string
	// exactlyOne is true for a list that has one element when it is present.
	exactlyOne bool
	// list is true for an array in JSON; ids is the list's index in the message that wraps it, -1 where none does.
	list bool
	ids  int
	// null is the boolean field that stands for a JSON null in a request, nil where null is refused.
	null protoreflect.FieldDescriptor
	// nested is the table of a message field's type.
	nested *message
}

// kind is the JSON type of a field, or its string format.
type kind int

const (
	kindString kind = iota
	kindBool
	kindInt
	kindTimestamp
	kindMessage
)

// New returns a codec for every message of the given files. It fails for a field of a type that Seam's JSON does not
// have, so that such a field is found when the service starts and not when the field is first used.
func New(files ...protoreflect.FileDescriptor) (*Codec, error) {
	c := &Codec{
		messages: map[reflect.Type]*message{},
		lenient:  []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)},
	}
	for _, file := range files {
		for i := range file.Messages().Len() {
			if _, err := c.add(file.Messages().Get(i)); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

func (c *Codec) add(descriptor protoreflect.MessageDescriptor) (*message, error) {
	generated, err := protoregistry.GlobalTypes.FindMessageByName(descriptor.FullName())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", descriptor.FullName(), err)
	}
	goType := reflect.TypeOf(generated.Zero().Interface())
	if known, ok := c.messages[goType]; ok {
		return known, nil
	}
	m := &message{goStruct: goType.Elem(), byName: map[string]*field{}, bodyOnly: bodyOnly(descriptor)}
	c.messages[goType] = m
	for i := range descriptor.Fields().Len() {
		fd := descriptor.Fields().Get(i)
		place := structFieldOf(m.goStruct, fd)
		if isStruct(fd) {
			m.additional = &field{structField: place, descriptor: fd}
			continue
		}
		if isServiceOnly(fd) {
			continue
		}
		f, err := c.newField(fd)
		if err != nil {
			return nil, err
		}
		if f.structField, f.position = place, len(m.fields); place.index < 0 && (f.list || f.kind == kindMessage) {
			return nil, fmt.Errorf("%s: not a field of the Go struct", fd.FullName())
		}
		m.fields = append(m.fields, f)
		m.byName[f.name] = f
	}
	return m, nil
}

func (c *Codec) newField(descriptor protoreflect.FieldDescriptor) (*field, error) {
	name := string(descriptor.Name())
	quoted, err := json.Marshal(name)
	if err != nil {
		return nil, fmt.Errorf("quote %s: %w", descriptor.FullName(), err)
	}
	f := &field{
		descriptor: descriptor,
		name:       name,
		quoted:     string(quoted) + ":",
		exactlyOne: descriptor.IsList() && exactlyOne(descriptor),
		list:       descriptor.IsList(),
		ids:        -1,
		null:       nullFlag(descriptor),
	}
	switch {
	case descriptor.Message() != nil && descriptor.Message().FullName() == "seam.clientsession.v1.IdList":
		wrapper, err := c.add(descriptor.Message())
		if err != nil {
			return nil, err
		}
		f.list, f.ids = true, wrapper.byName["ids"].index
	case descriptor.IsMap():
		return nil, fmt.Errorf("%s: maps are not part of Seam's JSON", descriptor.FullName())
	case descriptor.Kind() == protoreflect.StringKind:
		f.kind = kindString
	case descriptor.Kind() == protoreflect.BoolKind:
		f.kind = kindBool
	case descriptor.Kind() == protoreflect.Int32Kind:
		f.kind = kindInt
	case descriptor.Kind() == protoreflect.MessageKind && descriptor.Message().FullName() == "google.protobuf.Timestamp":
		f.kind = kindTimestamp
	case descriptor.Kind() == protoreflect.MessageKind:
		f.kind = kindMessage
		f.nested, err = c.add(descriptor.Message())
		return f, err
	default:
		return nil, fmt.Errorf("%s: %s is not part of Seam's JSON", descriptor.FullName(), descriptor.Kind())
	}
	return f, nil
}

// table returns what the codec knows of a message. New has read it: a message of another file is an error of the
// calling code.
func (c *Codec) table(m proto.Message) (*message, error) {
	known, ok := c.messages[reflect.TypeOf(m)]
	if !ok {
		return nil, fmt.Errorf("%s is not a message of this codec", m.ProtoReflect().Descriptor().FullName())
	}
	return known, nil
}

// exactlyOne reads from the contract's rules whether a list that is present must have one element.
func exactlyOne(descriptor protoreflect.FieldDescriptor) bool {
	rules, ok := proto.GetExtension(descriptor.Options(), validate.E_Field).(*validate.FieldRules)
	return ok && rules.GetRepeated().GetMinItems() == 1 && rules.GetRepeated().GetMaxItems() == 1
}

// isServiceOnly reports whether a field is the service's own and not part of Seam's JSON: an enum is one (Seam has none
// in this API), and so is the field that stands for a null.
func isServiceOnly(descriptor protoreflect.FieldDescriptor) bool {
	oneof := descriptor.ContainingOneof()
	return descriptor.Kind() == protoreflect.EnumKind ||
		(descriptor.Kind() == protoreflect.BoolKind && oneof != nil && !oneof.IsSynthetic())
}

// isStruct reports whether a field is a google.protobuf.Struct, which holds what the contract does not know.
func isStruct(descriptor protoreflect.FieldDescriptor) bool {
	return descriptor.Message() != nil && descriptor.Message().FullName() == "google.protobuf.Struct"
}

// nullFlag returns the field of the same oneof that stands for null: `bool without_x` beside `string x_id`.
func nullFlag(descriptor protoreflect.FieldDescriptor) protoreflect.FieldDescriptor {
	oneof := descriptor.ContainingOneof()
	if oneof == nil || oneof.IsSynthetic() {
		return nil
	}
	for i := range oneof.Fields().Len() {
		if twin := oneof.Fields().Get(i); twin != descriptor && isServiceOnly(twin) {
			return twin
		}
	}
	return nil
}

// bodyOnly names the requests whose parameters Seam reads from the body alone; those of all the others may also stand
// in the query string.
func bodyOnly(descriptor protoreflect.MessageDescriptor) bool {
	name := descriptor.Name()
	return name == "CreateRequest" || name == "GetOrCreateRequest"
}
