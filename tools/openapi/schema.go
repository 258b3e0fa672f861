package main

import (
	"fmt"
	"slices"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/getkin/kin-openapi/openapi3"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

type builder struct {
	document *openapi3.T
	// operations are those of base.yaml that the contract has.
	operations map[*openapi3.Operation]bool
	errs       []error
}

func (b *builder) failf(format string, values ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, values...))
}

func isRequest(m *protogen.Message) bool { return strings.HasSuffix(string(m.Desc.Name()), "Request") }

func isIDList(m *protogen.Message) bool { return m != nil && m.Desc.Name() == "IdList" }

// schema returns the schema of a name: what base.yaml has of it, or an empty one.
func (b *builder) schema(name string) *openapi3.Schema {
	if known := b.document.Components.Schemas[name]; known != nil {
		return known.Value
	}
	added := &openapi3.Schema{}
	b.document.Components.Schemas[name] = &openapi3.SchemaRef{Value: added}
	return added
}

// addMessage adds the schema of a message.
func (b *builder) addMessage(m *protogen.Message) {
	if isIDList(m) {
		return
	}
	name := string(m.Desc.Name())
	schema := b.schema(name)
	if schema.Type != nil {
		b.failf("base.yaml: the type of %s is the contract's to say", name)
	}
	schema.Type = &openapi3.Types{openapi3.TypeObject}
	if schema.Description == "" {
		schema.Description = prose(m.Comments.Leading)
	}
	own := schema.Properties
	schema.Properties = openapi3.Schemas{}
	noneRequired := schema.Required != nil && len(schema.Required) == 0
	additional := !isRequest(m)
	for _, field := range m.Fields {
		if isServiceOnly(field.Desc) || isStruct(field) {
			continue
		}
		member := b.member(field)
		name := string(field.Desc.Name())
		if known := own[name]; known != nil {
			overlay(member, known.Value)
			delete(own, name)
		}
		schema.Properties[name] = member
		if isRequired(field) && !noneRequired {
			schema.Required = append(schema.Required, name)
		}
	}
	for unknown := range own {
		b.failf("base.yaml: %s has no field %s", name, unknown)
	}
	slices.Sort(schema.Required)
	schema.AdditionalProperties = openapi3.BoolSchema{Has: &additional}
}

// overlay lets what base.yaml says of a member win.
func overlay(member *openapi3.SchemaRef, known *openapi3.Schema) {
	if known.Type != nil {
		member.Value.Type = known.Type
	}
	if known.Format != "" {
		member.Value.Format = known.Format
	}
	if known.Description != "" {
		member.Value.Description = known.Description
	}
}

// isRequired says whether a member is always there: in a request what a rule requires, in a response of Seam what has
// no presence of its own.
func isRequired(f *protogen.Field) bool {
	if isRequest(f.Parent) {
		return rulesOf(f).GetRequired()
	}
	return !f.Desc.HasOptionalKeyword()
}

func (b *builder) member(f *protogen.Field) *openapi3.SchemaRef {
	schema := &openapi3.Schema{Description: prose(f.Comments.Leading)}
	options, _ := f.Desc.Options().(*descriptorpb.FieldOptions)
	schema.Deprecated = options.GetDeprecated()
	rules := rulesOf(f)
	switch {
	case isIDList(f.Message):
		schema.Type = &openapi3.Types{openapi3.TypeArray}
		schema.Items = openapi3.NewSchemaRef("", openapi3.NewStringSchema())
	case f.Desc.IsList():
		schema.Type = &openapi3.Types{openapi3.TypeArray}
		schema.MinItems = rules.GetRepeated().GetMinItems()
		if most := rules.GetRepeated().GetMaxItems(); most > 0 {
			schema.MaxItems = &most
		}
		schema.Items = b.value(f, rules.GetRepeated().GetItems(), &openapi3.Schema{})
	default:
		return b.value(f, rules, schema)
	}
	return openapi3.NewSchemaRef("", schema)
}

// value completes the schema of one value of a field.
func (b *builder) value(f *protogen.Field, rules *validate.FieldRules, schema *openapi3.Schema) *openapi3.SchemaRef {
	if isRequest(f.Parent) && hasNull(f) {
		schema.Type = &openapi3.Types{openapi3.TypeString, openapi3.TypeNull}
		return openapi3.NewSchemaRef("", schema)
	}
	switch f.Desc.Kind() {
	case protoreflect.StringKind:
		schema.Type = &openapi3.Types{openapi3.TypeString}
		schema.MinLength = rules.GetString().GetMinLen()
		if rules.GetString().GetUuid() {
			schema.Format = "uuid"
		}
	case protoreflect.BoolKind:
		schema.Type = &openapi3.Types{openapi3.TypeBoolean}
		if f.Desc.Name() == "ok" {
			schema.Const = true
		}
	case protoreflect.Int32Kind:
		schema.Type = &openapi3.Types{openapi3.TypeInteger}
	case protoreflect.MessageKind:
		if f.Message.Desc.FullName() != "google.protobuf.Timestamp" {
			return openapi3.NewSchemaRef("#/components/schemas/"+string(f.Message.Desc.Name()), nil)
		}
		schema.Type, schema.Format = &openapi3.Types{openapi3.TypeString}, "date-time"
	default:
		b.failf("%s: %s is not part of Seam's JSON", f.Desc.FullName(), f.Desc.Kind())
	}
	return openapi3.NewSchemaRef("", schema)
}

func rulesOf(f *protogen.Field) *validate.FieldRules {
	rules, _ := proto.GetExtension(f.Desc.Options(), validate.E_Field).(*validate.FieldRules)
	return rules
}

// The rules below are those of service/seamjson.

// isServiceOnly says whether a field is the service's own: an enum is, and so is one that says what null says in JSON.
func isServiceOnly(field protoreflect.FieldDescriptor) bool {
	oneof := field.ContainingOneof()
	return field.Kind() == protoreflect.EnumKind ||
		field.Kind() == protoreflect.BoolKind && oneof != nil && !oneof.IsSynthetic()
}

// isStruct says whether a field holds the members that the contract does not know.
func isStruct(f *protogen.Field) bool {
	return f.Message != nil && f.Message.Desc.FullName() == "google.protobuf.Struct"
}

// hasNull says whether a field may be null in JSON: another field of its oneof then says so.
func hasNull(f *protogen.Field) bool {
	return f.Oneof != nil && !f.Oneof.Desc.IsSynthetic() &&
		slices.ContainsFunc(f.Oneof.Fields, func(twin *protogen.Field) bool { return isServiceOnly(twin.Desc) })
}
