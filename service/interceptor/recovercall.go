package interceptor

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/callinfo"
)

// RecoverCall recovers a panic of the steps around Recovery, such as the access log and the metrics, and returns an
// INTERNAL error. It is the outermost step, so it sets the request id of its error by itself.
func RecoverCall(logger *slog.Logger, panics prometheus.Counter) grpc.UnaryServerInterceptor {
	caught := panicReporter{logger, panics}
	return func(
		ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler,
	) (response any, err error) {
		call := callinfo.FromContext(ctx)
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			// RequestID may not have set it.
			setRequestID(call)
			e := caught.panicError(ctx, info.FullMethod, value)
			e.RequestID, e.CallID = call.ResponseID(), call.RequestID
			// It fails only outside of a gRPC call, which has no trailer.
			_ = grpc.SetTrailer(ctx, responseIDs(call))
			response, err = nil, e
		}()
		return handler(ctx, request)
	}
}
