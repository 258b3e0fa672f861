package main

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
)

// addMethod completes the operation of each route of a method.
func (b *builder) addMethod(service *protogen.Service, m *protogen.Method) {
	rule, _ := proto.GetExtension(m.Desc.Options(), annotations.E_Http).(*annotations.HttpRule)
	for i, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		method, path := route(binding)
		item := b.document.Paths.Value(path)
		if item == nil || item.GetOperation(method) == nil {
			b.failf("base.yaml: %s %s of %s is missing", method, path, m.Desc.Name())
			continue
		}
		operation := item.GetOperation(method)
		b.operations[operation] = true
		operation.Tags = []string{string(service.Desc.Name())}
		operation.Description = prose(m.Comments.Leading)
		operation.OperationID = string(m.Desc.Name())
		if i > 0 { // The first is what clients send.
			operation.OperationID += strings.ToUpper(method[:1]) + strings.ToLower(method[1:])
		}
		if binding.GetBody() == "*" {
			operation.RequestBody = b.body(m.Input)
		} else {
			operation.Parameters = append(operation.Parameters, b.query(m.Input)...)
		}
		success := *b.document.Components.Responses["Success"].Value
		success.Description = new(prose(m.Output.Comments.Leading))
		success.Content = openapi3.NewContentWithJSONSchemaRef(ref(m.Output))
		operation.Responses.Set("200", &openapi3.ResponseRef{Value: &success})
	}
}

func ref(m *protogen.Message) *openapi3.SchemaRef {
	return openapi3.NewSchemaRef("#/components/schemas/"+string(m.Desc.Name()), nil)
}

// body is needed where a request without parameters is invalid.
func (b *builder) body(m *protogen.Message) *openapi3.RequestBodyRef {
	schema := b.schema(string(m.Desc.Name()))
	return &openapi3.RequestBodyRef{Value: &openapi3.RequestBody{
		Required: schema.MinProps > 0 || len(schema.Required) > 0,
		Content:  openapi3.NewContentWithJSONSchemaRef(ref(m)),
	}}
}

// query returns the members of a request as parameters in the query string, where an empty value stands for null.
func (b *builder) query(m *protogen.Message) openapi3.Parameters {
	request := b.schema(string(m.Desc.Name()))
	var parameters openapi3.Parameters
	for name, member := range request.Properties {
		schema := *member.Value
		schema.Description, schema.Deprecated = "", false
		parameter := &openapi3.Parameter{
			Name: name, In: openapi3.ParameterInQuery, Description: member.Value.Description,
			Required: slices.Contains(request.Required, name), Deprecated: member.Value.Deprecated,
			Schema: openapi3.NewSchemaRef("", &schema),
		}
		if schema.Type.Includes(openapi3.TypeNull) {
			schema.Type, parameter.AllowEmptyValue = &openapi3.Types{openapi3.TypeString}, true
		}
		for _, example := range request.Examples {
			if values, ok := example.(map[string]any); ok {
				parameter.Example = values[name]
			}
		}
		parameters = append(parameters, &openapi3.ParameterRef{Value: parameter})
	}
	slices.SortFunc(parameters, func(a, b *openapi3.ParameterRef) int { return cmp.Compare(a.Value.Name, b.Value.Name) })
	return parameters
}

func route(rule *annotations.HttpRule) (method, path string) {
	switch pattern := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, pattern.Get
	case *annotations.HttpRule_Put:
		return http.MethodPut, pattern.Put
	case *annotations.HttpRule_Post:
		return http.MethodPost, pattern.Post
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, pattern.Delete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, pattern.Patch
	default:
		return "", ""
	}
}
