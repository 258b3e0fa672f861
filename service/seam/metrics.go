package seam

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of the requests to Seam, apart from those of the calls.
type metrics struct {
	// attempts has the counters by attempt and outcome, looked up once and not at each attempt.
	attempts [maxAttempts + 1][canceled + 1]prometheus.Counter
	denied   prometheus.Counter
	refused  prometheus.Counter
	opened   prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, b *breaker) *metrics {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_upstream_attempts_total",
		Help: "Requests that were sent to Seam, by attempt of the call and outcome.",
	}, []string{"attempt", "outcome"})
	m := &metrics{
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
	for number := range maxAttempts {
		for f := succeeded; f <= canceled; f++ {
			m.attempts[number+1][f] = attempts.WithLabelValues(strconv.Itoa(number+1), f.String())
		}
	}
	registry.MustRegister(attempts, m.denied, m.refused, m.opened,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_upstream_breaker_state",
			Help: "State of the shared circuit breaker: 0 closed, 1 half open (probing), 2 open (no requests to Seam).",
		}, b.state),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_upstream_callers_cut_off",
			Help: "Callers whose own circuit breaker is open or half open, because most of their requests fail.",
		}, b.callersCutOff))
	return m
}

func (m *metrics) attempt(number int, o outcome) { m.attempts[number][o].Inc() }
