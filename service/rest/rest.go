// Package rest is the REST face: Seam's own paths, JSON, errors and statuses in front of the gRPC handlers, by way of
// grpc-gateway. Where the gateway's defaults differ from Seam, they are overridden here.
package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/prometheus/client_golang/prometheus"

	gateway "github.com/clientsession/client-session-service/gen/gateway/seam/clientsession/v1"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamjson"
)

// Config configures the REST face.
type Config struct {
	// Calls serves the calls of the methods, those of ClientSessionService.
	Calls   *call.Server
	Methods []*call.Method
	// Headers are the names of the request headers that become metadata, in lower case. No others do.
	Headers []string
	// Codec reads the requests.
	Codec *seamjson.Codec
	// CORSOrigins are the origins whose cross-origin requests are allowed.
	CORSOrigins []string
	// ServiceCredential is true when calls go to Seam with the service credential and not with the caller's.
	ServiceCredential bool
	// RequireKnownHost is true when callers are not authenticated. Then only Hosts are accepted, against DNS rebinding.
	RequireKnownHost bool
	Hosts            Hosts
	// Ready reports whether the service accepts calls, for health checks.
	Ready func() bool
	// APIDocs is true where the API page is served at /docs.
	APIDocs bool
	// MaxInFlight is how many calls there may be in flight.
	MaxInFlight int
	// Logger gets a line for each request that does not become a call; call.Serve logs the others.
	Logger *slog.Logger
	// Registry gets the metrics.
	Registry prometheus.Registerer
}

// New returns the handler of the REST face.
func New(config Config) (http.Handler, error) {
	description := clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.
		Services().ByName("ClientSessionService")
	methods, others := newMetrics(config.Registry, config.Methods)
	routes, err := routesOf(description, methods)
	if err != nil {
		return nil, err
	}
	f := &face{Config: config, routes: routes, others: others, unread: unreadResponses{
		strangers: make(chan struct{}, maxUnreadOfStrangers),
		callers:   make(chan struct{}, max(maxUnreadOfStrangers, config.MaxInFlight)),
		aborted:   others.aborted,
	}}
	for _, name := range config.Headers {
		f.metadataHeaders = append(f.metadataHeaders, header{name: name, key: http.CanonicalHeaderKey(name)})
	}
	f.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &marshaler{}),
		runtime.WithForwardResponseRewriter(seamResponse),
		runtime.WithErrorHandler(handleError),
		runtime.WithRoutingErrorHandler(f.handleRoutingError),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithWriteContentLength(),
		runtime.WithMiddlewares(f.serve),
	)
	client := clientsessionv1.NewClientSessionServiceClient(inProcess{})
	if err := gateway.RegisterClientSessionServiceHandlerClient(context.Background(), f.mux, client); err != nil {
		return nil, fmt.Errorf("register the routes: %w", err)
	}
	handler, err := f.withFixedFiles(http.HandlerFunc(f.serveRoutes))
	if err != nil {
		return nil, err
	}
	handler = f.withCORS(handler)
	if config.ServiceCredential {
		if handler, err = f.rejectCrossOrigin(handler); err != nil {
			return nil, err
		}
	}
	return withCallID(f.withProbes(handler), config.Calls), nil
}

type face struct {
	Config

	mux             *runtime.ServeMux
	routes          map[string]route // By path.
	metadataHeaders []header
	// others counts the requests that do not become a call.
	others *otherRequests
	// unread bounds the responses that are not those of a call with a slot.
	unread unreadResponses
}

// header is a request header that becomes metadata, by its names in gRPC and in net/http.
type header struct{ name, key string }

func (f *face) serveRoutes(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawPath != "" {
		// Seam's paths have no characters to escape, so an escaped path is an unknown one, whatever it unescapes to.
		f.handleRoutingError(r.Context(), nil, nil, w, r, http.StatusNotFound)
		return
	}
	// Some clients join a base URL that ends in a slash with the path.
	r.URL.Path = "/" + strings.TrimLeft(r.URL.Path, "/")
	f.mux.ServeHTTP(w, r)
}

// handleError keeps the error by which the gateway ends a call. What Serve returns is written, and nothing else.
func handleError(
	ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, err error,
) {
	if c, ok := ctx.Value(callKey{}).(*restCall); ok {
		c.err = err
	}
}
