package interceptor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// Served is a gRPC service and the faces that its methods are called through.
type Served struct {
	Description *grpc.ServiceDesc
	Faces       []string
}

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
	for _, s := range served {
		for _, face := range s.Faces {
			for method, kind := range methodsOf(s.Description) {
				values := []string{face, kind, s.Description.ServiceName, method}
				of := &callSeries{started: started.WithLabelValues(values...), seconds: seconds.WithLabelValues(values...)}
				for code := range of.handled {
					of.handled[code] = handled.WithLabelValues(append(values, codes.Code(code).String())...)
				}
				all[seriesKey{face, "/" + s.Description.ServiceName + "/" + method}] = of
			}
		}
	}
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		start := time.Now()
		of := all.started(ctx, info.FullMethod)
		response, err := handler(ctx, request)
		of.ended(ctx, start, err)
		return response, err
	}
}

type seriesKey struct{ face, fullMethod string }

type seriesByMethod map[seriesKey]*callSeries

// started counts a call and returns the series of its method, nil for a method that has none.
//
//go:noinline // Inlined, its variables would be on the stack of a call in flight.
func (s seriesByMethod) started(ctx context.Context, fullMethod string) *callSeries {
	of := s[seriesKey{callinfo.FromContext(ctx).Face, fullMethod}]
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

// methodsOf returns the methods of a service with the type that each has in the label grpc_type.
func methodsOf(description *grpc.ServiceDesc) map[string]string {
	kinds := map[string]string{}
	for _, method := range description.Methods {
		kinds[method.MethodName] = "unary"
	}
	for _, stream := range description.Streams {
		switch {
		case stream.ClientStreams && stream.ServerStreams:
			kinds[stream.StreamName] = "bidi_stream"
		case stream.ClientStreams:
			kinds[stream.StreamName] = "client_stream"
		default:
			kinds[stream.StreamName] = "server_stream"
		}
	}
	return kinds
}
