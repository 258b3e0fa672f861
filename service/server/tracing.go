package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.38.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clientsession/client-session-service/service/text"
)

// The protocols of OTLP, as OpenTelemetry's variables name them.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// spansTimeout is how long a collector may take for the last spans: one that is down must not delay the shutdown.
const spansTimeout = 5 * time.Second

// tracesProtocol returns the protocol by which spans are exported, empty where calls are not traced. The variables are
// OpenTelemetry's; the exporters and the SDK read all others of them.
func tracesProtocol() (string, error) {
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	exporter := os.Getenv("OTEL_TRACES_EXPORTER")
	switch {
	case strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true"), exporter == "none", exporter == "" && endpoint == "":
		return "", nil
	case exporter != "" && exporter != "otlp":
		return "", fmt.Errorf("OTEL_TRACES_EXPORTER: %q is neither otlp nor none", exporter)
	}
	protocol := cmp.Or(
		os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), protocolHTTP)
	if protocol != protocolGRPC && protocol != protocolHTTP {
		return "", fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %q is neither %s nor %s", protocol, protocolGRPC, protocolHTTP)
	}
	return protocol, checkTraceVariables()
}

// startTracing makes what exports spans by a protocol. Without one it does nothing: then no call has a span.
func (s *Server) startTracing(protocol string) error {
	if protocol == "" {
		return nil
	}
	// The exporters quote parts of a malformed OTEL_EXPORTER_OTLP_HEADERS, which has the collector's credentials, to this
	// logger. What fails to be exported is told to the handler.
	otel.SetLogger(logr.Discard())
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		s.logger.Warn("spans were not exported", slog.String("cause", text.Foreign(err.Error())))
	}))
	ctx := context.Background()
	newExporter := func() (*otlptrace.Exporter, error) { return otlptracehttp.New(ctx) }
	if protocol == protocolGRPC {
		newExporter = func() (*otlptrace.Exporter, error) { return otlptracegrpc.New(ctx) }
	}
	exporter, err := newExporter()
	if err != nil {
		return fmt.Errorf("export spans: %w", err)
	}
	// The variables for the resource win over these attributes.
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("client-session-service"), semconv.ServiceVersion(s.cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		s.logger.Warn("OTEL_RESOURCE_ATTRIBUTES is not used as a whole")
	}
	s.spans = sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return nil
}

// tracer returns what makes spans, nil where calls are not traced.
func (s *Server) tracer() trace.Tracer {
	if s.spans == nil {
		return nil
	}
	return s.spans.Tracer("github.com/clientsession/client-session-service")
}

// stopTracing exports the last spans.
func (s *Server) stopTracing(ctx context.Context) {
	if s.spans == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, spansTimeout)
	defer cancel()
	if err := s.spans.Shutdown(ctx); err != nil {
		s.logger.Warn("the last spans were not exported in time")
	}
}
