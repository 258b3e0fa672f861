package call

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// TestExemplars shows that the time of a call has the call's trace as its exemplar if the trace is sampled, and that a
// call without a sampled trace costs no allocation.
func TestExemplars(t *testing.T) {
	const traceID = "00000000000000000000000000000001"
	traced := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: flags,
		})
	}
	for name, test := range map[string]struct {
		span trace.SpanContext
		want bool
	}{
		"no trace":    {trace.SpanContext{}, false},
		"not sampled": {traced(0), false},
		"sampled":     {traced(trace.FlagsSampled), true},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			metrics := newMetrics(registry, servedService())
			ctx := trace.ContextWithSpanContext(t.Context(), test.span)
			c := &Call{Face: FaceGRPC, Method: &Method{FullMethod: method}}
			allocations := testing.AllocsPerRun(100, func() {
				metrics.start(c)
				metrics.end(ctx, c, time.Now(), nil)
			})
			if !test.want && allocations != 0 {
				t.Errorf("a call costs %v allocations", allocations)
			}
			families, err := registry.Gather()
			if text := fmt.Sprint(families); err != nil || strings.Contains(text, traceID) != test.want {
				t.Errorf("the series are %s", text)
			}
		})
	}
}
