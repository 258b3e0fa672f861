package rest

import (
	"fmt"
	"strings"

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
		rule, _ := proto.GetExtension(rpc.Options(), annotations.E_Http).(*annotations.HttpRule)
		if rule.GetPattern() == nil {
			continue
		}
		for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			// The pattern that is set is a field by the name of the HTTP method.
			message := binding.ProtoReflect()
			pattern := message.WhichOneof(message.Descriptor().Oneofs().ByName("pattern"))
			httpMethod, path := strings.ToUpper(string(pattern.Name())), message.Get(pattern).String()
			known, ok := found[path]
			if of.Method == nil || ok && known.method != of {
				return nil, fmt.Errorf("%s has no RPC, or more than one", path)
			}
			found[path] = route{of, append(known.httpMethods, httpMethod)}
		}
	}
	return found, nil
}
