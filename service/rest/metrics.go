package rest

import (
	"path"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// otherRequests has the counters of the requests that do not become a call, which the interceptors do not count.
type otherRequests struct {
	noRoute, methodNotAllowed, crossOrigin, preflight prometheus.Counter
}

// newMetrics registers the metrics of the face. All series are there from the start and are looked up once. It returns
// the methods with their counters.
func newMetrics(
	registry prometheus.Registerer, calls map[string]grpc.UnaryHandler,
) (map[string]method, *otherRequests) {
	others := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_rest_other_requests_total",
		Help: "Requests to the REST face that did not become a call, by reason.",
	}, []string{"reason"})
	statuses := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "client_session_service_rest_responses_total",
		Help: "Responses of the REST face to calls, by method and class of the HTTP status.",
	}, []string{"grpc_method", "status_class"})
	registry.MustRegister(others, statuses)
	methods := map[string]method{}
	for fullMethod, call := range calls {
		of := &responses{}
		for class, label := range map[int]string{2: "2xx", 4: "4xx", 5: "5xx"} {
			of[class] = statuses.WithLabelValues(path.Base(fullMethod), label)
		}
		methods[fullMethod] = method{call, of}
	}
	return methods, &otherRequests{
		noRoute:          others.WithLabelValues("no_route"),
		methodNotAllowed: others.WithLabelValues("method_not_allowed"),
		crossOrigin:      others.WithLabelValues("cross_origin"),
		preflight:        others.WithLabelValues("preflight"),
	}
}

// responses has the counters of the responses to the calls of one method, by the first digit of the status.
type responses [6]prometheus.Counter

// count counts the response to a call that ended with err. A status of Seam above 599 counts as 5xx (RFC 9110).
func (r *responses) count(err error) {
	class := 2
	if err != nil {
		class = min(max(seamerr.From(err).HTTPStatus/100, 4), 5)
	}
	r[class].Inc()
}
