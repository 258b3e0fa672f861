package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/clientsession/client-session-service/service/config"
)

// metrics are the metrics of the service, in its own registry.
type metrics struct {
	registry *prometheus.Registry
	panics   prometheus.Counter
	// An operator with a service credential needs alerts on serviceCredentialRefused, reloadFailures and anonymous.
	serviceCredentialRefused prometheus.Counter
	reloadFailures           prometheus.Counter
	anonymous                prometheus.Gauge
	// inFlight is the number of calls in flight. refused counts the calls and connections over a limit.
	inFlight prometheus.Gauge
	refused  *prometheus.CounterVec
	// openStreams is the number of open gRPC streams.
	openStreams prometheus.Gauge
}

// newMetrics registers the metrics of the service that are there from the start.
func newMetrics(cfg config.Config) *metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	registered := promauto.With(registry)
	registered.NewGauge(prometheus.GaugeOpts{
		Name:        "client_session_service_build_info",
		Help:        "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": cfg.Version},
	}).Set(1)
	registered.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_max_in_flight",
		Help: "Calls that may be in flight, --max-in-flight.",
	}).Set(float64(cfg.MaxInFlight))
	m := &metrics{
		registry: registry,
		panics: registered.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_panics_total",
			Help: "Panics that were recovered and became INTERNAL errors.",
		}),
		serviceCredentialRefused: registered.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_service_credential_refused_total",
			Help: "Calls for which Seam refused the service credential.",
		}),
		reloadFailures: registered.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_reload_failures_total",
			Help: "Failed reloads of a watched file; the previous contents stay in use.",
		}),
		anonymous: registered.NewGauge(prometheus.GaugeOpts{
			Name: "client_session_service_anonymous",
			Help: "1 while unauthenticated clients may use the service credential, else 0.",
		}),
		inFlight: registered.NewGauge(prometheus.GaugeOpts{
			Name: "client_session_service_in_flight",
			Help: "Calls in flight.",
		}),
		refused: registered.NewCounterVec(prometheus.CounterOpts{
			Name: "client_session_service_refused_total",
			Help: "Calls and connections that were refused because a limit was reached, by limit.",
		}, []string{"limit"}),
		openStreams: registered.NewGauge(prometheus.GaugeOpts{
			Name: "client_session_service_grpc_streams",
			Help: "Open gRPC streams on all connections; each call is one.",
		}),
	}
	// So that the series is there without --caller-rps as well. Those of the other limits always have a user.
	m.refused.WithLabelValues("caller")
	return m
}

// certificates registers when the certificate of both faces expires.
func (m *metrics) certificates(certificates *serverCertificates) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "client_session_service_certificate_expiration_timestamp_seconds",
		Help: "When the certificate of both faces expires, in seconds since 1970; 0 without TLS.",
	}, certificates.expiration))
}

// CountDroppedLines registers how many lines of the log were dropped. The log is the caller's.
func (s *Server) CountDroppedLines(dropped func() float64) {
	s.metrics.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "client_session_service_log_lines_dropped_total",
		Help: "Lines of the log that were dropped because its reader is too slow, or gone.",
	}, dropped))
}

// connections registers the number of a face's open connections.
func (m *metrics) connections(face string, open func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "client_session_service_connections",
		Help:        "Open connections from clients, by face.",
		ConstLabels: prometheus.Labels{"face": face},
	}, open))
}
