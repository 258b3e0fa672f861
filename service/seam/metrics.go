package seam

import (
	"strconv"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of the requests to Seam, apart from those of the calls. All series are there from the start and are
// looked up once, not at each attempt.
type metrics struct {
	// attempts has the counters by attempt and outcome, endpoints the series by path.
	attempts  [maxAttempts + 1][canceled + 1]prometheus.Counter
	endpoints map[string]*endpointSeries
	denied    prometheus.Counter
	refused   prometheus.Counter
	opened    prometheus.Counter
	// open has the gauges of open connections by protocol.
	open map[string]prometheus.Gauge
	// inFlight is the number of requests in flight, abandoned ones included.
	inFlight atomic.Int64
}

// endpointSeries are the series of one endpoint.
type endpointSeries struct {
	// requests has the counters by the first digit of the status, 0 for no response. Above 599 it counts as 5 (RFC 9110).
	requests [6]prometheus.Counter
	seconds  prometheus.Observer
}

func newMetrics(
	registry prometheus.Registerer, b *breakers, retries *budget, left *abandoned, responses *memory,
) *metrics {
	m := &metrics{
		endpoints: map[string]*endpointSeries{},
		denied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_upstream_retries_denied_total",
			Help: "Failed requests that were not retried because the retry budget was used up.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_upstream_refused_total",
			Help: "Calls that were refused because a circuit breaker was open.",
		}),
		opened: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_upstream_connections_total",
			Help: "Connections that were opened to Seam.",
		}),
	}
	m.registerConnections(registry)
	m.registerAttempts(registry)
	m.registerEndpoints(registry)
	registry.MustRegister(m.denied, m.refused, m.opened)
	for _, gauge := range []struct {
		name, help string
		value      func() float64
	}{
		{
			"breaker_state",
			"State of the shared circuit breaker: 0 closed, 1 half open (probing), 2 open (no requests to Seam).",
			func() float64 { return b.shared.state() },
		},
		{
			"callers_cut_off",
			"Callers whose own circuit breaker is open or half open, because most of their requests fail.", b.callersCutOff,
		},
		{"retry_budget", "Retries that the retry budget allows now.", retries.left},
		{"in_flight", "Requests to Seam in flight.", func() float64 { return float64(m.inFlight.Load()) }},
		{
			"abandoned", "Requests to Seam in flight whose calls have ended, because the caller left or its deadline passed.",
			func() float64 { return float64(left.count.Load()) },
		},
		{
			"response_bytes", "Bytes of memory that are reserved for responses, until they are written to the callers.",
			responses.inUse,
		},
	} {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_upstream_" + gauge.name, Help: gauge.help,
		}, gauge.value))
	}
	return m
}

func (m *metrics) registerConnections(registry prometheus.Registerer) {
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "client_session_service_upstream_connections_open",
		Help: "Open connections to Seam by protocol, unknown until the first request.",
	}, []string{"protocol"})
	m.open = map[string]prometheus.Gauge{}
	for _, protocol := range []string{protocolUnknown, protocolHTTP1, protocolHTTP2} {
		m.open[protocol] = open.WithLabelValues(protocol)
	}
	registry.MustRegister(open)
}

func (m *metrics) registerAttempts(registry prometheus.Registerer) {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_upstream_attempts_total",
		Help: "Requests that were sent to Seam, by attempt of the call and outcome.",
	}, []string{"attempt", "outcome"})
	for number := range maxAttempts {
		for f := succeeded; f <= canceled; f++ {
			m.attempts[number+1][f] = attempts.WithLabelValues(strconv.Itoa(number+1), f.String())
		}
	}
	registry.MustRegister(attempts)
}

func (m *metrics) registerEndpoints(registry prometheus.Registerer) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_upstream_requests_total",
		Help: "Requests that were sent to Seam, by endpoint and class of the response's status, none without a response.",
	}, []string{"endpoint", "status_class"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "client_session_service_upstream_request_seconds",
		Help:    "Seconds that requests to Seam took, each attempt by itself, whatever came of them.",
		Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"endpoint"})
	for _, e := range endpoints() {
		of := &endpointSeries{seconds: seconds.WithLabelValues(e.Path)}
		for class, label := range []string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"} {
			of.requests[class] = requests.WithLabelValues(e.Path, label)
		}
		m.endpoints[e.Path] = of
	}
	registry.MustRegister(requests, seconds)
}

// ended counts and times an attempt.
func (m *metrics) ended(path string, number int, a *attempt) {
	m.attempts[number][a.outcome].Inc()
	if of := m.endpoints[path]; of != nil {
		of.requests[min(a.httpStatus/100, 5)].Inc()
		of.seconds.Observe(a.took.Seconds())
	}
}
