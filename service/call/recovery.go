package call

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// panicReporter makes errors of panics.
type panicReporter struct {
	logger *slog.Logger
	panics prometheus.Counter
}

// panicError counts and logs the panic with that value and returns its error. It is called in the function that
// recovered, while the stack still has the code that panicked.
func (r panicReporter) panicError(ctx context.Context, fullMethod string, value any) *seamerr.Error {
	r.panics.Inc()
	cause := describePanic(value)
	r.log(ctx, fullMethod, cause)
	return seamerr.Internal(cause)
}

func (r panicReporter) log(ctx context.Context, fullMethod string, cause error) {
	// The log may be what panicked, and would panic again. Then the counter is the only trace.
	defer func() { _ = recover() }()
	call := FromContext(ctx)
	r.logger.LogAttrs(ctx, slog.LevelError, "panic",
		slog.String("method", fullMethod),
		slog.String("call_id", call.CallID),
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
