package call

import (
	"cmp"
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.38.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// TraceHeaders returns the headers of the W3C Trace Context. They are read only where calls are traced.
func TraceHeaders() []string { return propagation.TraceContext{}.Fields() }

// tracing records a server span of each call, in the caller's trace if the call came with one. Health checks, which are
// many and all alike, have none. Like the access log, a span has no header and no member of a message.
type tracing struct{ tracer trace.Tracer }

// start starts the span of a call, nil for none.
func (t tracing) start(ctx context.Context, c *Call) (context.Context, trace.Span) {
	if t.tracer == nil || isHealthCheck(c.Method.FullMethod) {
		return ctx, nil
	}
	name := strings.TrimPrefix(c.Method.FullMethod, "/")
	ctx, span := t.tracer.Start( //nolint:spancheck // Ended in end.
		withRemoteSpan(ctx, c.Metadata), name, trace.WithSpanKind(trace.SpanKindServer))
	c.TraceID = span.SpanContext().TraceID().String()
	return ctx, span //nolint:spancheck // The same.
}

// end ends the span.
func (t tracing) end(span trace.Span, c *Call, failure *seamerr.Error) {
	if span == nil {
		return
	}
	if span.IsRecording() {
		describeCall(span, c, strings.TrimPrefix(c.Method.FullMethod, "/"), failure)
	}
	span.End()
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
func describeCall(span trace.Span, call *Call, name string, failure *seamerr.Error) {
	code := codeOf(failure)
	service, method, _ := strings.Cut(name, "/")
	attributes := []attribute.KeyValue{
		semconv.RPCSystemGRPC,
		semconv.RPCService(service),
		semconv.RPCMethod(method),
		semconv.RPCGRPCStatusCodeKey.Int(int(code)),
		attribute.String("client_session_service.face", call.Face),
		attribute.String("client_session_service.call_id", call.CallID),
	}
	if call.Face == FaceREST {
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
			semconv.ErrorTypeKey.String(cmp.Or(text.Cut(failure.Type, maxTypeBytes), code.String())))
	}
	span.SetAttributes(attributes...)
	switch code { // Those that count as errors of a server by the conventions: others are errors of the caller.
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		span.SetStatus(otelcodes.Error, "")
	}
}
