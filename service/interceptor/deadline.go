package interceptor

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/callinfo"
)

// responseMargin is how long before the caller's deadline a call ends here, at most. At the deadline itself grpc-go
// resets the stream, which clients in several languages report as CANCELLED, so the response has to be sent before.
const responseMargin = 20 * time.Millisecond

// Deadline bounds the time of a call: the caller's own deadline, but no longer than limit, and fallback for a caller
// that set none. So every call ends, even when Seam never responds. A call of WithDeadline is left as it is.
func Deadline(fallback, limit time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if callinfo.FromContext(ctx).Cancel != nil {
			return handler(ctx, request)
		}
		ctx, cancel := context.WithTimeout(ctx, timeout(ctx, fallback, limit))
		defer cancel()
		return handler(ctx, request)
	}
}

func timeout(ctx context.Context, fallback, limit time.Duration) time.Duration {
	deadline, set := ctx.Deadline()
	if !set {
		return min(fallback, limit)
	}
	remaining := time.Until(deadline)
	return min(remaining-min(responseMargin, remaining/10), limit)
}

// WithDeadline does what Deadline does, for a face that needs a context which it can cancel before the steps run: two
// contexts of a call, each with a timer or a goroutine that waits for it, would cost twice as much. The record of the
// call gets what cancels it. The context has to have a parent that ends with the call.
func WithDeadline(ctx context.Context, call *callinfo.Call, fallback, limit time.Duration) context.Context {
	ctx, call.Cancel = context.WithTimeout(ctx, timeout(ctx, fallback, limit)) //nolint:gosec // The record has it.
	return ctx
}
