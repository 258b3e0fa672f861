package interceptor

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// Metrics counts and times the calls of both faces, in the standard series of a gRPC server with a label for the face.
// Every series exists from the start and is looked up once, not at each call. A method that is not among those served
// has no series: a label with text of callers would be unbounded.
func Metrics(registry prometheus.Registerer, served ...Served) grpc.UnaryServerInterceptor {
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
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		start := time.Now()
		of := all.started(ctx, info.FullMethod)
		response, err := handler(ctx, request)
		of.ended(ctx, start, err)
		return response, err
	}
}

type seriesByMethod map[servedMethod]*callSeries

// started counts a call and returns the series of its method, nil for a method that has none.
//
//go:noinline // Inlined, its variables would be on the stack of a call in flight.
func (s seriesByMethod) started(ctx context.Context, fullMethod string) *callSeries {
	of := s[servedMethod{callinfo.FromContext(ctx).Face, fullMethod}]
	if of != nil {
		of.started.Inc()
	}
	return of
}

// callSeries are the series of one method on one face.
type callSeries struct {
	started prometheus.Counter
	handled [codes.Unauthenticated + 1]prometheus.Counter
	seconds prometheus.Observer
}

// ended counts and times the end of a call.
//
//go:noinline // For the same reason.
func (s *callSeries) ended(ctx context.Context, start time.Time, err error) {
	if s == nil {
		return
	}
	s.observe(ctx, time.Since(start).Seconds())
	s.handled[min(codeOf(seamerr.From(err)), codes.Unauthenticated)].Inc()
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
