package interceptor

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Method is a unary method with the steps before its handler.
type Method struct {
	FullMethod string
	// NewRequest returns an empty request.
	NewRequest func() proto.Message
	// Call takes a call through the steps, which read its request, and then to the handler.
	Call grpc.UnaryHandler
}

// Bind returns handler with the steps before it, the first outermost. It is called once per method and not per call, so
// that a call allocates no closures and needs little stack.
func Bind(
	steps []grpc.UnaryServerInterceptor, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
) grpc.UnaryHandler {
	for _, step := range slices.Backward(steps) {
		inner := handler
		handler = func(ctx context.Context, request any) (any, error) { return step(ctx, request, info, inner) }
	}
	return handler
}

// BindMethods binds the steps to each unary method of a service. The generated code passes the request type, the method
// name and the handler only to a decoder and an interceptor, so it is called once with those that record them.
func BindMethods(steps []grpc.UnaryServerInterceptor, description *grpc.ServiceDesc, service any) []Method {
	var methods []Method
	for _, method := range description.Methods {
		var bound Method
		decode := func(request any) error {
			if message, ok := request.(proto.Message); ok {
				bound.NewRequest = func() proto.Message { return message.ProtoReflect().New().Interface() }
			}
			return nil
		}
		capture := func(
			_ context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
		) (any, error) {
			bound.FullMethod, bound.Call = info.FullMethod, Bind(steps, info, handler)
			return request, nil
		}
		_, _ = method.Handler(service, context.Background(), decode, capture)
		methods = append(methods, bound)
	}
	return methods
}
