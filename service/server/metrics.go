package server

import (
	"context"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	"github.com/clientsession/service/service/callinfo"
)

// metrics are the series of the service, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	calls    *grpcprom.ServerMetrics
	panics   prometheus.Counter
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: grpcprom.NewServerMetrics(
			grpcprom.WithServerHandlingTimeHistogram(),
			grpcprom.WithContextLabels("face"),
		),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_panics_total",
			Help: "Panics that were caught and answered with INTERNAL.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "client_session_service_build_info",
		Help:        "Always 1; the label tells the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.calls, m.panics, build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// interceptor counts and times the calls of both faces, told apart by a label.
func (m *metrics) interceptor() grpc.UnaryServerInterceptor {
	return m.calls.UnaryServerInterceptor(grpcprom.WithLabelsFromContext(func(ctx context.Context) prometheus.Labels {
		return prometheus.Labels{"face": callinfo.FromContext(ctx).Face}
	}))
}
