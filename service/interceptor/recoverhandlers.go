package interceptor

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/callinfo"
)

// RecoverHandlers returns a copy of the service's description whose handlers make an INTERNAL error of a panic. A
// handler that is described there decodes the request and then runs the interceptors, so this also catches what
// Recovery, which is one of them, cannot: a panic in the decoding, in the log or in the metrics. What Recovery caught
// is no panic any more when it gets here. Interceptors of streams run outside of what is described, so a panic in one
// is not caught.
func RecoverHandlers(description *grpc.ServiceDesc, logger *slog.Logger, panics prometheus.Counter) *grpc.ServiceDesc {
	r := handlerRecovery{panicReporter{logger, panics}}
	recovering := *description
	recovering.Methods = slices.Clone(description.Methods)
	for i, method := range recovering.Methods {
		fullMethod := "/" + description.ServiceName + "/" + method.MethodName
		recovering.Methods[i].Handler = r.method(fullMethod, method.Handler)
	}
	recovering.Streams = slices.Clone(description.Streams)
	for i, stream := range recovering.Streams {
		fullMethod := "/" + description.ServiceName + "/" + stream.StreamName
		recovering.Streams[i].Handler = r.stream(fullMethod, stream.Handler)
	}
	return &recovering
}

type handlerRecovery struct{ caught panicReporter }

func (r handlerRecovery) method(fullMethod string, handler grpc.MethodHandler) grpc.MethodHandler {
	return func(
		service any, ctx context.Context, decode func(any) error, chain grpc.UnaryServerInterceptor,
	) (response any, err error) {
		// The record is opened here where there is none yet, so that what RequestID writes into it is seen here too.
		ctx, _ = callinfo.Begin(ctx)
		defer func() {
			if value := recover(); value != nil {
				response, err = nil, r.answer(ctx, fullMethod, value)
			}
		}()
		return handler(service, ctx, decode, chain)
	}
}

func (r handlerRecovery) stream(fullMethod string, handler grpc.StreamHandler) grpc.StreamHandler {
	return func(service any, stream grpc.ServerStream) (err error) {
		defer func() {
			if value := recover(); value != nil {
				ctx, _ := callinfo.Begin(stream.Context())
				err = r.answer(ctx, fullMethod, value)
			}
		}()
		return handler(service, stream)
	}
}

// answer returns the error that the panic becomes, with the id of the call: RequestID may not have come to set it.
func (r handlerRecovery) answer(ctx context.Context, fullMethod string, value any) error {
	call := callinfo.FromContext(ctx)
	call.RequestID = cmp.Or(call.RequestID, callerRequestID(ctx), uuid.NewString())
	e := r.caught.panicError(ctx, fullMethod, value)
	e.RequestID = call.ResponseID()
	// It fails only outside of a call, where nobody waits for the trailer.
	_ = grpc.SetTrailer(ctx, metadata.Pairs(headerRequestID, e.RequestID))
	return e
}
