package server

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

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

func newMetrics(cfg config.Config) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_panics_total",
			Help: "Panics that were recovered and became INTERNAL errors.",
		}),
	}
	m.serviceCredentialRefused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "client_session_service_service_credential_refused_total",
		Help: "Calls for which Seam refused the service credential.",
	})
	m.reloadFailures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "client_session_service_reload_failures_total",
		Help: "Failed reloads of a watched file; the previous contents stay in use.",
	})
	m.anonymous = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_anonymous",
		Help: "1 while unauthenticated clients may use the service credential, else 0.",
	})
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_in_flight",
		Help: "Calls in flight.",
	})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_refused_total",
		Help: "Calls and connections that were refused because a limit was reached, by limit.",
	}, []string{"limit"})
	m.openStreams = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_grpc_streams",
		Help: "Open gRPC streams on all connections; each call is one.",
	})
	for _, limit := range []string{limitInFlight, limitCaller, limitConnections, limitStreams} {
		m.refused.WithLabelValues(limit) // So that each series is there before the first refusal.
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "client_session_service_build_info",
		Help:        "Always 1; the label is the version.",
		ConstLabels: prometheus.Labels{"version": cfg.Version},
	})
	build.Set(1)
	maxInFlight := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "client_session_service_max_in_flight",
		Help: "Calls that may be in flight, --max-in-flight.",
	})
	maxInFlight.Set(float64(cfg.MaxInFlight))
	m.registry.MustRegister(
		m.panics, build, m.serviceCredentialRefused, m.reloadFailures, m.anonymous,
		m.inFlight, maxInFlight, m.refused, m.openStreams,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// The limits, as labels of a metric.
const (
	limitInFlight    = "in_flight"
	limitCaller      = "caller"
	limitConnections = "connections"
	limitStreams     = "streams"
)

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
