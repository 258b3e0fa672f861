package interceptor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// Recovery recovers a panic and returns an INTERNAL error, so that one call cannot end the process. It runs inside of
// the access log and the metrics, so that both see that error; the stack is logged here. RecoverCall recovers the
// panics of the steps around it.
func Recovery(logger *slog.Logger, panics prometheus.Counter) grpc.UnaryServerInterceptor {
	reporter := panicReporter{logger, panics}
	return func(
		ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (response any, err error) {
		defer func() {
			if value := recover(); value != nil {
				response, err = nil, reporter.panicError(ctx, info.FullMethod, value)
			}
		}()
		return handler(ctx, request)
	}
}

// RecoverOutside returns a function that turns a panic, recovered outside of any call, into an error, by the method and
// the value. It counts and logs the panic as Recovery does.
func RecoverOutside(
	logger *slog.Logger, panics prometheus.Counter,
) func(ctx context.Context, method string, value any) *seamerr.Error {
	return panicReporter{logger, panics}.panicError
}

// panicReporter makes errors of panics.
type panicReporter struct {
	logger *slog.Logger
	panics prometheus.Counter
}

// panicError counts and logs the panic with that value and returns its error. It is called in the function that
// recovered, while the stack still has the code that panicked.
func (c panicReporter) panicError(ctx context.Context, fullMethod string, value any) *seamerr.Error {
	c.panics.Inc()
	cause := describePanic(value)
	c.log(ctx, fullMethod, cause)
	return seamerr.Internal(cause)
}

func (c panicReporter) log(ctx context.Context, fullMethod string, cause error) {
	// The log may be what panicked, and would panic again. Then the counter is the only trace.
	defer func() { _ = recover() }()
	call := callinfo.FromContext(ctx)
	c.logger.LogAttrs(ctx, slog.LevelError, "panic",
		slog.String("method", fullMethod),
		slog.String("request_id", call.RequestID),
		slog.String("seam_request_id", call.SeamRequestID),
		slog.String("cause", cause.Error()),
		slog.String("stack", string(debug.Stack())))
}

// describePanic returns the message of a runtime panic, and of any other panic only the type of its value: the value
// could be a secret.
func describePanic(value any) error {
	if err, ok := value.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic with a value of type %T", value)
}
