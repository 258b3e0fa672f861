package interceptor_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
)

// TestExemplars shows that the time of a call has the call's trace as its exemplar if the trace is sampled, and that a
// call without a sampled trace costs no allocation.
func TestExemplars(t *testing.T) {
	traced := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: flags,
		})
	}
	for name, test := range map[string]struct {
		span trace.SpanContext
		want string
	}{
		"no trace":    {trace.SpanContext{}, ""},
		"not sampled": {traced(0), ""},
		"sampled":     {traced(trace.FlagsSampled), "00000000000000000000000000000001"},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			step := interceptor.Metrics(registry, interceptor.Served{
				Description: &clientsessionv1.ClientSessionService_ServiceDesc, Faces: []string{callinfo.FaceGRPC},
			})
			ctx, _ := withCall(t, callinfo.Call{Face: callinfo.FaceGRPC})
			ctx = trace.ContextWithSpanContext(ctx, test.span)
			info, handler := info(), respond("response", nil)
			allocations := testing.AllocsPerRun(100, func() { _, _ = step(ctx, nil, info, handler) })
			if test.want == "" && allocations != 0 {
				t.Errorf("a call costs %v allocations", allocations)
			}
			if got := exemplar(t, registry); got != test.want {
				t.Errorf("the trace of the exemplar is %q, want %q", got, test.want)
			}
		})
	}
}

// exemplar returns the trace of the one call's exemplar, empty for none.
func exemplar(t *testing.T, registry *prometheus.Registry) (traceID string) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, series := range family.GetMetric() {
			for _, bucket := range series.GetHistogram().GetBucket() {
				for _, label := range bucket.GetExemplar().GetLabel() {
					if label.GetName() == "trace_id" {
						traceID = label.GetValue()
					}
				}
			}
		}
	}
	return traceID
}
