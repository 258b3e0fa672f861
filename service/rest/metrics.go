package rest

import (
	"path"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// otherRequests has the counters of the requests that do not become a call, which the interceptors do not count.
type otherRequests struct {
	noRoute, methodNotAllowed, crossOrigin, preflight, aborted prometheus.Counter
}

// method is a method with its counters of responses.
type method struct {
	*call.Method

	responses *responses
}

// newMetrics registers the metrics of the face. All series are there from the start and are looked up once. It returns
// the methods with their counters, by their full names.
func newMetrics(registry prometheus.Registerer, served []*call.Method) (map[string]method, *otherRequests) {
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
	for _, m := range served {
		of := &responses{}
		for class, label := range map[int]string{2: "2xx", 4: "4xx", 5: "5xx"} {
			of[class] = statuses.WithLabelValues(path.Base(m.FullMethod), label)
		}
		methods[m.FullMethod] = method{m, of}
	}
	return methods, &otherRequests{
		noRoute:          others.WithLabelValues("no_route"),
		methodNotAllowed: others.WithLabelValues("method_not_allowed"),
		crossOrigin:      others.WithLabelValues("cross_origin"),
		preflight:        others.WithLabelValues("preflight"),
		aborted:          others.WithLabelValues("aborted"),
	}
}

// responses has the counters of the responses to the calls of one method, by the first digit of the status.
type responses [6]prometheus.Counter

// count counts the response to a call. A status of Seam above 599 counts as 5xx (RFC 9110).
func (r *responses) count(failure *seamerr.Error) {
	class := 2
	if failure != nil {
		class = min(max(failure.HTTPStatus/100, 4), 5)
	}
	r[class].Inc()
}
