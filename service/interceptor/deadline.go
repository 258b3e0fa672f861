package interceptor

import (
	"context"
	"time"

	"google.golang.org/grpc"
)

// answerTime is how long before the caller's deadline a call ends here, at the most. At the deadline itself grpc-go
// resets the stream, which callers in several languages take for a cancellation; so the response that says what
// happened has to be on its way before.
const answerTime = 20 * time.Millisecond

// Deadline bounds how long a call may take: the caller's own deadline, but no longer than limit, and fallback for a
// caller that set none. Every call ends, then, even when Seam never answers.
func Deadline(fallback, limit time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		bound := min(fallback, limit)
		if deadline, set := ctx.Deadline(); set {
			remaining := time.Until(deadline)
			bound = min(remaining-min(answerTime, remaining/10), limit)
		}
		ctx, cancel := context.WithTimeout(ctx, bound)
		defer cancel()
		return handler(ctx, request)
	}
}
