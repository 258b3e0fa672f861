package interceptor

import (
	"context"
	"slices"

	"google.golang.org/grpc"
)

// Chain makes one interceptor of several, the first outermost. Both faces run the same one.
func Chain(steps ...grpc.UnaryServerInterceptor) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		for _, step := range slices.Backward(steps) {
			inner := handler
			handler = func(ctx context.Context, request any) (any, error) {
				return step(ctx, request, info, inner)
			}
		}
		return handler(ctx, request)
	}
}
