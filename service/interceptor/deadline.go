package interceptor

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// Deadline bounds how long a call may take: the caller's own deadline, but no longer than limit, and fallback for a
// caller that set none. Every call ends, then, even when Seam never answers.
func Deadline(fallback, limit time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		bound := limit
		if _, set := ctx.Deadline(); !set {
			bound = min(fallback, limit)
		}
		// A caller's earlier deadline stays: the parent's wins over a later one.
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		return handler(ctx, request)
	}
}
