package server_test

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// collector is a collector of spans that speaks OTLP over gRPC and over HTTP.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer

	mu       sync.Mutex
	requests []*collectorv1.ExportTraceServiceRequest
}

// Export takes spans.
func (c *collector) Export(
	_ context.Context, request *collectorv1.ExportTraceServiceRequest,
) (*collectorv1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, request)
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	request := &collectorv1.ExportTraceServiceRequest{}
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, request) != nil {
		http.Error(w, "not an export", http.StatusBadRequest)
		return
	}
	_, _ = c.Export(r.Context(), request)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// startCollector runs a collector until the test ends, and sets the variables that make a service use it.
func startCollector(t *testing.T, protocol string) *collector {
	t.Helper()
	c := &collector{}
	if protocol == "grpc" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(grpc.WaitForHandlers(true))
		collectorv1.RegisterTraceServiceServer(server, c)
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(listener) })
		t.Cleanup(func() {
			server.Stop()
			serving.Wait()
		})
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+listener.Addr().String())
	} else {
		server := httptest.NewServer(c)
		t.Cleanup(server.Close)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
	return c
}

// span is a span as a test compares it.
type span struct {
	trace, id, parent, name, state string

	kind       tracev1.Span_SpanKind
	status     tracev1.Status_StatusCode
	attributes map[string]any
}

// spans returns the spans in the order in which they began, and the attributes of the service that sent them.
func (c *collector) spans(t *testing.T) (spans []span, service map[string]any) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*tracev1.Span
	for _, request := range c.requests {
		for _, resource := range request.GetResourceSpans() {
			service = attributes(resource.GetResource().GetAttributes())
			for _, scope := range resource.GetScopeSpans() {
				all = append(all, scope.GetSpans()...)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *tracev1.Span) int {
		return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano())
	})
	for _, s := range all {
		if s.GetStatus().GetMessage() != "" || len(s.GetEvents()) > 0 {
			t.Errorf("the span %s has texts: %v", s.GetName(), s)
		}
		spans = append(spans, span{
			trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()), parent: hex.EncodeToString(s.GetParentSpanId()),
			name: s.GetName(), state: s.GetTraceState(), kind: s.GetKind(), status: s.GetStatus().GetCode(), attributes: attributes(s.GetAttributes()),
		})
	}
	return spans, service
}

// text returns all that was sent.
func (c *collector) text(t *testing.T) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var text []byte
	for _, request := range c.requests {
		encoded, err := proto.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, encoded...)
	}
	return string(text)
}

func attributes(list []*commonv1.KeyValue) map[string]any {
	values := map[string]any{}
	for _, a := range list {
		if text, ok := a.GetValue().GetValue().(*commonv1.AnyValue_StringValue); ok {
			values[a.GetKey()] = text.StringValue
		} else {
			values[a.GetKey()] = int(a.GetValue().GetIntValue())
		}
	}
	return values
}
