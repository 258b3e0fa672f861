package rest

import (
	"fmt"
	"net/http"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// route is a path of the contract: its RPC, and its HTTP methods in the order of the contract.
type route struct {
	method      method
	httpMethods []string
}

// routesOf reads the routes by their paths from the contract, where they stand beside the RPCs. It fails for a path
// of two RPCs.
func routesOf(service protoreflect.ServiceDescriptor, methods map[string]method) (map[string]route, error) {
	found := map[string]route{}
	for i := range service.Methods().Len() {
		rpc := service.Methods().Get(i)
		of := methods[fmt.Sprintf("/%s/%s", service.FullName(), rpc.Name())]
		rule, ok := proto.GetExtension(rpc.Options(), annotations.E_Http).(*annotations.HttpRule)
		if !ok {
			continue
		}
		for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			httpMethod, path := split(binding)
			known, ok := found[path]
			if of.Method == nil || ok && known.method != of {
				return nil, fmt.Errorf("%s has no RPC, or more than one", path)
			}
			found[path] = route{of, append(known.httpMethods, httpMethod)}
		}
	}
	return found, nil
}

func split(rule *annotations.HttpRule) (method, path string) {
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
