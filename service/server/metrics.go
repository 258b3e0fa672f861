package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics are the series of the service, in a registry of its own.
type metrics struct {
	registry *prometheus.Registry
	panics   prometheus.Counter
	// serviceCredentialRefused, reloadFailures and anonymous are what an operator of a service credential wants an alert
	// on.
	serviceCredentialRefused prometheus.Counter
	reloadFailures           prometheus.Counter
	anonymous                prometheus.Gauge
	// inFlight counts the calls that are worked on, refused the calls and connections that there was no room for.
	inFlight prometheus.Gauge
	refused  *prometheus.CounterVec
	// openStreams tells how many streams of gRPC there are.
	openStreams prometheus.Gauge
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_panics_total",
			Help: "Panics that were caught and answered with INTERNAL.",
		}),
	}
	m.serviceCredentialRefused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "client_session_service_service_credential_refused_total",
		Help: "Calls for which Seam refused the service's own credential.",
	})
	m.reloadFailures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "client_session_service_reload_failures_total",
		Help: "Looks at a changed file that could not be used; what was read before stays in use.",
	})
	m.anonymous = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_anonymous",
		Help: "1 while anybody who reaches the service may use its own credential.",
	})
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_in_flight",
		Help: "Calls that are being worked on.",
	})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_refused_total",
		Help: "Calls and connections that were refused at once, by the limit that they met.",
	}, []string{"limit"})
	m.openStreams = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_grpc_streams",
		Help: "Open streams of gRPC on all connections; each call is one.",
	})
	for _, limit := range []string{limitInFlight, limitCaller, limitConnections, limitStreams} {
		m.refused.WithLabelValues(limit) // So that each series is there before the first refusal.
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "client_session_service_build_info",
		Help:        "Always 1; the label tells the version.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.panics, build, m.serviceCredentialRefused, m.reloadFailures, m.anonymous,
		m.inFlight, m.refused, m.openStreams,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// The limits that a caller can meet, as labels of a metric.
const (
	limitInFlight    = "in_flight"
	limitCaller      = "caller"
	limitConnections = "connections"
	limitStreams     = "streams"
)

// connections tells how many connections a face has.
func (m *metrics) connections(face string, open func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "client_session_service_connections",
		Help:        "Open connections of callers, by face.",
		ConstLabels: prometheus.Labels{"face": face},
	}, open))
}
