package call

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// newMetrics returns the series of the calls of both faces: the standard ones of a gRPC server, with a label for the
// face. Every series exists from the start and is looked up once, not at each call. A method that is not among
// those served has no series: a label with text of callers would be unbounded.
func newMetrics(registry prometheus.Registerer, served []Served) seriesByMethod {
	labels := []string{"face", "grpc_type", "grpc_service", "grpc_method"}
	started := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "grpc_server_started_total",
		Help: "Calls that have started.",
	}, labels)
	handled := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "grpc_server_handled_total",
		Help: "Calls that ended, by gRPC code.",
	}, append(labels, "grpc_code"))
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "grpc_server_handling_seconds",
		Help:    "Seconds that calls took, whatever their outcome.",
		Buckets: prometheus.DefBuckets,
	}, labels)
	registry.MustRegister(started, handled, seconds)

	all := seriesByMethod{}
	for method, kind := range methodsOf(served) {
		service, name := path.Split(method.fullMethod)
		values := []string{method.face, kind, strings.Trim(service, "/"), name}
		of := &callSeries{started: started.WithLabelValues(values...), seconds: seconds.WithLabelValues(values...)}
		for code := range of.handled {
			of.handled[code] = handled.WithLabelValues(append(values, codes.Code(code).String())...)
		}
		all[method] = of
	}
	return all
}

type seriesByMethod map[servedMethod]*callSeries

// start counts a call.
func (s seriesByMethod) start(c *Call) {
	if of := s[servedMethod{c.Face, c.Method.FullMethod}]; of != nil {
		of.started.Inc()
	}
}

// end counts and times the end of a call.
func (s seriesByMethod) end(ctx context.Context, c *Call, started time.Time, failure *seamerr.Error) {
	if of := s[servedMethod{c.Face, c.Method.FullMethod}]; of != nil {
		of.observe(ctx, time.Since(started).Seconds())
		of.handled[min(codeOf(failure), codes.Unauthenticated)].Inc()
	}
}

// callSeries are the series of one method on one face.
type callSeries struct {
	started prometheus.Counter
	handled [codes.Unauthenticated + 1]prometheus.Counter
	seconds prometheus.Observer
}

// observe records how long a call took, with its trace as the exemplar if that is sampled.
func (s *callSeries) observe(ctx context.Context, seconds float64) {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		if exemplars, ok := s.seconds.(prometheus.ExemplarObserver); ok {
			exemplars.ObserveWithExemplar(seconds, prometheus.Labels{"trace_id": span.TraceID().String()})
			return
		}
	}
	s.seconds.Observe(seconds)
}
