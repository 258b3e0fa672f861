package interceptor

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// responseMargin is how long before the caller's deadline a call ends here, at most. At the deadline itself grpc-go
// resets the stream, which clients in several languages report as CANCELLED, so the response has to be sent before.
const responseMargin = 20 * time.Millisecond

// Deadline bounds the time of a call: the caller's own deadline, but no longer than limit, and fallback for a caller
// that set none. So every call ends, even when Seam never responds.
func Deadline(fallback, limit time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		bound := min(fallback, limit)
		if deadline, set := ctx.Deadline(); set {
			remaining := time.Until(deadline)
			bound = min(remaining-min(responseMargin, remaining/10), limit)
		}
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		return handler(ctx, request)
	}
}
