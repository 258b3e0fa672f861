package interceptor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/service/service/seamerr"
)

// Recovery makes an INTERNAL error of a panic, so that one call cannot end the process. It stands inside the access
// log and the metrics, so that both see the panic as the error it became; the stack is logged here.
func Recovery(logger *slog.Logger, panics prometheus.Counter) grpc.UnaryServerInterceptor {
	return func(
		ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (response any, err error) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			panics.Inc()
			cause := describePanic(value)
			logger.LogAttrs(ctx, slog.LevelError, "panic",
				slog.String("method", info.FullMethod),
				slog.String("cause", cause.Error()),
				slog.String("stack", string(debug.Stack())))
			response, err = nil, seamerr.Internal(cause)
		}()
		return handler(ctx, request)
	}
}

// describePanic tells what the runtime panicked about, and of any other panic only the type of its value: the value
// could be anything, a secret too.
func describePanic(value any) error {
	if fault, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", fault)
	}
	return fmt.Errorf("panic with a value of type %T", value)
}
