package seam_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/seamjson"
)

type (
	grantRequest  = clientsessionv1.GrantAccessRequest
	grantResponse = clientsessionv1.GrantAccessResponse
)

func TestMain(m *testing.M) {
	// Tests that say that they are parallel wait and hardly work, so they are run side by side on few cores too.
	_ = flag.Set("test.parallel", "4")
	// Go reads the roots from this file, once, when it first needs them.
	folder, err := os.MkdirTemp("", "roots")
	if err != nil {
		log.Fatal(err)
	}
	roots, err := seamtest.TrustFile(folder)
	if err = errors.Join(err, os.Setenv("SSL_CERT_FILE", roots)); err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}))
}

// upstream is what responds in place of Seam, on a real listener.
type upstream struct {
	*httptest.Server
	// connections and requests count what came in.
	connections, requests atomic.Int32
}

// serve serves over TLS and HTTP/2.
func serve(t *testing.T, handler http.HandlerFunc) *upstream {
	t.Helper()
	return serveOver(t, overHTTP2, handler)
}

// The two ways in which Seam can be reached.
const (
	overHTTP1 = "TLS, HTTP/1.1"
	overHTTP2 = "TLS, HTTP/2"
)

// overBoth runs a test over each.
func overBoth(t *testing.T, test func(t *testing.T, over string)) {
	t.Helper()
	for _, over := range []string{overHTTP1, overHTTP2} {
		t.Run(over, func(t *testing.T) { test(t, over) })
	}
}

func serveOver(t *testing.T, over string, handler http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = u.unstarted(handler)
	u.EnableHTTP2 = over == overHTTP2
	u.StartTLS()
	t.Cleanup(u.Close)
	return u
}

func servePlain(t *testing.T, handler http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{}
	u.Server = u.unstarted(handler)
	u.Start()
	t.Cleanup(u.Close)
	return u
}

func (u *upstream) unstarted(handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.requests.Add(1)
		handler(w, r)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			u.connections.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	return server
}

// responding returns a handler that gives one response; headers are name and value in turn.
func responding(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if strings.HasPrefix(body, "{") {
			w.Header().Set("Content-Type", "application/json")
		}
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// newCodec returns the one codec, which takes longer to make than a call.
var newCodec = sync.OnceValues(func() (*seamjson.Codec, error) {
	return seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto,
	)
})

// newClient returns a client that lives as long as the test. The settings change its configuration.
func newClient(t *testing.T, endpoint string, settings ...func(*seam.Config)) *seam.Client {
	t.Helper()
	parsed, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	config := seam.Config{
		Endpoint: parsed, UserAgent: "test/1", Codec: codec, MaxIdleConnections: 1024,
		Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}
	for _, set := range settings {
		set(&config)
	}
	client := seam.New(config)
	t.Cleanup(client.Close)
	return client
}

// reportingTo has the client put its metrics where the test can read them.
func reportingTo(registry *prometheus.Registry) func(*seam.Config) {
	return func(config *seam.Config) { config.Registry = registry }
}

// metric returns the sum of a metric's values that have the given labels: name and value in turn.
func metric(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != "client_session_service_upstream_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			has := map[string]string{}
			for _, pair := range m.GetLabel() {
				has[pair.GetName()] = pair.GetValue()
			}
			fits := true
			for i := 0; i < len(labels); i += 2 {
				fits = fits && has[labels[i]] == labels[i+1]
			}
			if fits {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

const credential = "seam_apikey_0123456789"

func authorized() http.Header { return http.Header{"Authorization": {"Bearer " + credential}} }

// grant makes the smallest call. The error is nil or what every failure has to be.
func grant(ctx context.Context, t *testing.T, client *seam.Client) (seam.Response, *grantResponse, *seamerr.Error) {
	t.Helper()
	return send(ctx, t, client, seam.Call{Endpoint: seam.GrantAccess()})
}

// grantOnce is grant for a caller that retries by itself, so that it makes one request.
func grantOnce(ctx context.Context, t *testing.T, client *seam.Client) (seam.Response, *grantResponse, *seamerr.Error) {
	t.Helper()
	return send(ctx, t, client, seam.Call{Endpoint: seam.GrantAccess(), CallerRetries: true})
}

// get makes a call that may be retried freely.
func get(ctx context.Context, t *testing.T, client *seam.Client) (seam.Response, *grantResponse, *seamerr.Error) {
	t.Helper()
	return send(ctx, t, client, seam.Call{Endpoint: seam.Get()})
}

// send makes a call to any endpoint; what the messages hold does not matter to the client.
func send(ctx context.Context, t *testing.T, client *seam.Client, call seam.Call) (seam.Response, *grantResponse, *seamerr.Error) {
	t.Helper()
	out := &grantResponse{}
	call.Header, call.In, call.Out = authorized(), &grantRequest{}, out
	if call.Success == seam.Sessions {
		call.Out = &clientsessionv1.ListResponse{}
	}
	response, err := client.Do(ctx, &call)
	if err == nil {
		return *response, out, nil
	}
	var e *seamerr.Error
	if !errors.As(err, &e) {
		t.Errorf("error of type %T: %v", err, err) // Not fatal: parallel calls are made in goroutines of their own.
		e = seamerr.Internal(err)
	}
	return *response, out, e
}

// wantError fails unless the call ended with an error of the type and code.
func wantError(t *testing.T, e *seamerr.Error, errorType string, code codes.Code) {
	t.Helper()
	if e == nil {
		t.Fatalf("no error, want %s", errorType)
	}
	if e.Type != errorType || e.GRPCCode() != code {
		t.Fatalf("error is %s, %q (cause %v); want %s, %q", e.GRPCCode(), e.Type, e.Cause, code, errorType)
	}
}
