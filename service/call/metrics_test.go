package call

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// maxAllocations is how many allocations the log, the metrics and the ids may add to a call.
const maxAllocations = 15

// TestObservation shows what a call costs more for its line in the log, its metrics and its ids, and that the time of a
// call has the call's trace as its exemplar if the trace is sampled. The race detector makes pools forget, so that it
// counts more.
func TestObservation(t *testing.T) {
	const traceID = "00000000000000000000000000000001"
	traced := func(flags trace.TraceFlags) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: flags,
		})
	}
	discard := slog.New(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // The line has to be written.
	log, method := newAccessLog(discard, nil, servedService()), &Method{FullMethod: method}
	from := peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}}
	md := metadata.Pairs("authorization", "Bearer seam_x", "user-agent", "test")
	for name, test := range map[string]struct {
		span    trace.SpanContext
		sampled bool
	}{
		"no trace":    {trace.SpanContext{}, false},
		"not sampled": {traced(0), false},
		"sampled":     {traced(trace.FlagsSampled), true},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			metrics := newMetrics(registry, servedService())
			ctx := trace.ContextWithSpanContext(t.Context(), test.span)
			for _, face := range []string{FaceGRPC, FaceREST} {
				allocations := testing.AllocsPerRun(1000, func() {
					c := Call{
						Face: face, Method: method, Peer: from, Metadata: md,
						Caller: "orders", SeamRequestID: "seam-1", SeamStatus: 200, Attempts: 1,
					}
					c.setID()
					started := time.Now()
					metrics.start(&c)
					c.ResponseMetadata(c.withIDs(nil))
					metrics.end(ctx, &c, started, nil)
					log.write(ctx, &c, started, nil)
				})
				if !test.sampled && allocations > maxAllocations {
					t.Errorf("%s: %v allocations, want %d at the most", face, allocations, maxAllocations)
				}
			}
			families, err := registry.Gather()
			if text := fmt.Sprint(families); err != nil || strings.Contains(text, traceID) != test.sampled {
				t.Errorf("the series are %s", text)
			}
		})
	}
}
