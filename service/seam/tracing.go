package seam

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.38.0"
	"go.opentelemetry.io/otel/trace"
)

// tracedAttempt makes an attempt in a client span of its own, whose context goes to Seam with the request.
func (c *Client) tracedAttempt(ctx context.Context, s *callState) {
	ctx, span := c.tracer.Start(ctx, s.call.Method+" "+s.call.Path, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	// The call's headers are shared by calls with the same credential.
	s.header = make(http.Header, len(s.call.Header)+1)
	maps.Copy(s.header, s.call.Header)
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(s.header))
	c.attempt(ctx, s)
	if span.IsRecording() {
		c.describeAttempt(span, s)
	}
}

// describeAttempt sets the attributes of an attempt's span. The URL is put together of parts that have no credential.
func (c *Client) describeAttempt(span trace.Span, s *callState) {
	port, _ := strconv.Atoi(cmp.Or(c.endpoint.Port(), map[string]string{"http": "80", "https": "443"}[c.endpoint.Scheme]))
	span.SetAttributes(
		semconv.HTTPRequestMethodKey.String(s.call.Method),
		semconv.URLFull(c.endpoint.Scheme+"://"+c.endpoint.Host+c.endpoint.EscapedPath()+s.call.Path),
		semconv.ServerAddress(c.endpoint.Hostname()),
		semconv.ServerPort(port),
	)
	if resends := s.response.Attempts - 1; resends > 0 {
		span.SetAttributes(semconv.HTTPRequestResendCount(resends))
	}
	status := s.last.httpStatus
	if status != 0 {
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	}
	if s.last.err == nil {
		return
	}
	span.SetStatus(codes.Error, "")
	if status >= http.StatusBadRequest {
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
	} else {
		span.SetAttributes(semconv.ErrorTypeKey.String(s.last.outcome.String()))
	}
}
