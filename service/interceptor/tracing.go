package interceptor

import (
	"cmp"
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.38.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// TraceHeaders returns the headers of the W3C Trace Context. They are read only where calls are traced.
func TraceHeaders() []string { return propagation.TraceContext{}.Fields() }

// Tracing records a server span of each call, in the caller's trace if the call came with one. Health checks, which are
// many and all alike, have none. Like the access log, a span has no header and no member of a message.
func Tracing(tracer trace.Tracer) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if isHealthCheck(info.FullMethod) {
			return handler(ctx, request)
		}
		call := callinfo.FromContext(ctx)
		name := strings.TrimPrefix(info.FullMethod, "/")
		ctx, span := tracer.Start(withRemoteSpan(ctx, call.Metadata), name, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		call.TraceID = span.SpanContext().TraceID().String()
		response, err := handler(ctx, request)
		if span.IsRecording() {
			describeCall(span, call, name, seamerr.From(err))
		}
		return response, err
	}
}

// withRemoteSpan returns a context with the span that the caller made the call in. One that is malformed is ignored, as
// the W3C has it.
func withRemoteSpan(ctx context.Context, md metadata.MD) context.Context {
	carrier := propagation.MapCarrier{}
	for _, name := range TraceHeaders() {
		carrier[name] = strings.Join(md[name], ",")
	}
	return propagation.TraceContext{}.Extract(ctx, carrier)
}

// describeCall sets the attributes of a call's span: those of the semantic conventions, and what the access log has
// beyond them.
func describeCall(span trace.Span, call *callinfo.Call, name string, failure *seamerr.Error) {
	code := codeOf(failure)
	service, method, _ := strings.Cut(name, "/")
	attributes := []attribute.KeyValue{
		semconv.RPCSystemGRPC,
		semconv.RPCService(service),
		semconv.RPCMethod(method),
		semconv.RPCGRPCStatusCodeKey.Int(int(code)),
		attribute.String("client_session_service.face", call.Face),
		attribute.String("client_session_service.request_id", call.RequestID),
	}
	if call.Face == callinfo.FaceREST {
		attributes = append(attributes, semconv.HTTPResponseStatusCode(httpStatusOf(failure)))
	}
	if call.Caller != "" {
		attributes = append(attributes, attribute.String("client_session_service.caller", call.Caller))
	}
	if call.SeamRequestID != "" {
		attributes = append(attributes, attribute.String("client_session_service.seam_request_id", call.SeamRequestID))
	}
	if failure != nil {
		attributes = append(attributes,
			semconv.ErrorTypeKey.String(cmp.Or(clip(failure.Type, maxTypeBytes), code.String())))
	}
	span.SetAttributes(attributes...)
	switch code { // Those that count as errors of a server by the conventions: others are errors of the caller.
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		span.SetStatus(otelcodes.Error, "")
	}
}
