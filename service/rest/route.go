package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// route is a path of the contract: its RPC, and its HTTP methods in the order of the contract.
type route struct {
	method      method
	httpMethods []string
}

// routesOf reads the routes by their paths from the contract, where they stand beside the RPCs. It fails for a path
// of two RPCs.
func routesOf(service protoreflect.ServiceDescriptor, methods map[string]method) (map[string]route, error) {
	found := map[string]route{}
	for i := range service.Methods().Len() {
		rpc := service.Methods().Get(i)
		of := methods[fmt.Sprintf("/%s/%s", service.FullName(), rpc.Name())]
		rule, _ := proto.GetExtension(rpc.Options(), annotations.E_Http).(*annotations.HttpRule)
		if rule.GetPattern() == nil {
			continue
		}
		for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			// The pattern that is set is a field by the name of the HTTP method.
			message := binding.ProtoReflect()
			pattern := message.WhichOneof(message.Descriptor().Oneofs().ByName("pattern"))
			httpMethod, path := strings.ToUpper(string(pattern.Name())), message.Get(pattern).String()
			known, ok := found[path]
			if of.Method == nil || ok && known.method != of {
				return nil, fmt.Errorf("%s has no RPC, or more than one", path)
			}
			found[path] = route{of, append(known.httpMethods, httpMethod)}
		}
	}
	return found, nil
}

// handleRoutingError responds to a request for which the gateway finds no route: 404, or 405 for another method of a
// path.
func (f *face) handleRoutingError(
	_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, status int,
) {
	if allow := f.routes[r.URL.Path].httpMethods; status == http.StatusMethodNotAllowed && len(allow) > 0 {
		f.refuse(w, r, f.others.methodNotAllowed, "no route", seamerr.MethodNotAllowed(allow))
		return
	}
	f.refuse(w, r, f.others.noRoute, "no route", seamerr.NotFound())
}

// refuse writes the error of a request that does not become a call, and logs what the access log would have.
func (f *face) refuse(
	w http.ResponseWriter, r *http.Request, counter prometheus.Counter, message string, e *seamerr.Error,
) {
	counter.Inc()
	if r.ProtoMajor == 2 && r.TLS == nil { // net/http passes on the preface as a request, and closes the connection.
		message = "HTTP/2 without TLS is not served"
	}
	e.SeamRequestID = callID(w)
	f.Logger.LogAttrs(r.Context(), slog.LevelInfo, message,
		slog.String("http_method", sanitizeForLog(r.Method)),
		slog.String("path", sanitizeForLog(r.URL.Path)),
		slog.Int("http_status", e.HTTPStatus),
		slog.String("call_id", e.SeamRequestID),
		slog.String("peer", r.RemoteAddr))
	f.unread.write(w, r, f.unread.strangers, func() { writeError(w, e) })
}

// loggable matches a path or a method that looks like one of an API.
var loggable = regexp.MustCompile(`^([a-z/_]{0,64}|[A-Z]{0,8})$`)

// sanitizeForLog replaces a path or a method that is not loggable: it may have a credential in it, and credentials have
// digits or both cases.
func sanitizeForLog(text string) string {
	if loggable.MatchString(text) {
		return text
	}
	return "(not logged)"
}
