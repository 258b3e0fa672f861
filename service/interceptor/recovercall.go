package interceptor

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/callinfo"
)

// RecoverCall makes an INTERNAL error of a panic in the steps around Recovery: in the log or in the metrics. It stands
// outermost, so nothing else gives its error the id of the call. What Recovery caught is no panic any more when it gets
// here.
func RecoverCall(logger *slog.Logger, panics prometheus.Counter) grpc.UnaryServerInterceptor {
	caught := panicReporter{logger, panics}
	return func(
		ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (response any, err error) {
		// The record is opened here where there is none yet, so that what RequestID writes into it is seen here too.
		ctx, call := callinfo.Begin(ctx)
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			// RequestID may not have come to set it.
			setRequestID(ctx, call)
			e := caught.panicError(ctx, info.FullMethod, value)
			e.RequestID, e.CallID = call.ResponseID(), call.RequestID
			// It fails only outside of a call, where nobody waits for the trailer.
			_ = grpc.SetTrailer(ctx, responseIDs(call))
			response, err = nil, e
		}()
		return handler(ctx, request)
	}
}
