package seam

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics tell how it goes with Seam, apart from how it goes with the calls.
type metrics struct {
	// attempts has the counters by attempt and outcome, found once and not at each attempt.
	attempts [maxAttempts + 1][canceled + 1]prometheus.Counter
	denied   prometheus.Counter
	refused  prometheus.Counter
	opened   prometheus.Counter
}

func newMetrics(registry prometheus.Registerer, b *breaker) *metrics {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_upstream_attempts_total",
		Help: "Requests that were put to Seam, by which attempt of its call it was and what came of it.",
	}, []string{"attempt", "outcome"})
	m := &metrics{
		denied: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_upstream_retries_denied_total",
			Help: "Failed requests that were not retried because there had been too many retries.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "client_session_service_upstream_refused_total",
			Help: "Calls that were refused because the circuit breaker was open.",
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
			Help: "The circuit breaker of all callers: 0 closed, 1 half open (probing), 2 open (Seam is not asked).",
		}, b.state),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "client_session_service_upstream_callers_cut_off",
			Help: "Callers whose own circuit breaker is open or half open, since Seam fails at most of their requests.",
		}, b.callersCutOff))
	return m
}

func (m *metrics) attempt(number int, a attempt) { m.attempts[number][a.outcome].Inc() }
