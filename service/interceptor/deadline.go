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
// that set none. So every call ends, even when Seam never responds. A context of WithDeadline is left as it is.
func Deadline(fallback, limit time.Duration) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if CancelOf(ctx) != nil {
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
// contexts of a call, each with a timer or a goroutine that waits for it, would cost twice as much. The context has to
// have a parent that ends with the call.
func WithDeadline(ctx context.Context, fallback, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, timeout(ctx, fallback, limit)) //nolint:gosec // CancelOf returns it.
	return &cancelable{ctx, cancel}
}

// CancelOf returns what cancels a context of WithDeadline, nil for any other.
func CancelOf(ctx context.Context) context.CancelFunc {
	if c, ok := ctx.Value(cancelableKey{}).(*cancelable); ok {
		return c.cancel
	}
	return nil
}

type cancelableKey struct{}

// cancelable is a context that knows what cancels it.
type cancelable struct {
	context.Context //nolint:containedctx // It is one.

	cancel context.CancelFunc
}

// Value returns the context itself for its key.
func (c *cancelable) Value(key any) any {
	if key == (cancelableKey{}) {
		return c
	}
	return c.Context.Value(key)
}
