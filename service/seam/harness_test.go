package seam

import (
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
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
	_ = flag.Set("test.parallel", "32")
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

// inTurn responds to each request with the next handler, and from the last one on with that.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		handlers[min(int(n.Add(1)), len(handlers))-1](w, r)
	}
}

// hangUp is a handler that ends the connection, or over HTTP/2 the stream.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// silent is a handler that never responds.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // The server notices that its client left once it has read the request.
	<-r.Context().Done()
}

// newCodec returns the one codec, which takes longer to make than a call.
var newCodec = sync.OnceValues(func() (*seamjson.Codec, error) {
	return seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto,
	)
})

// newClient returns a client that lives as long as the test. The settings change its configuration.
func newClient(t *testing.T, endpoint string, settings ...func(*Config)) *Client {
	t.Helper()
	parsed, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	config := Config{
		Endpoint: parsed, UserAgent: "test/1", Codec: codec, MaxIdleConnections: 1024,
		Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}
	for _, set := range settings {
		set(&config)
	}
	client := New(config)
	t.Cleanup(func() {
		client.Close()
		if left := client.memory.inUse(); left != 0 {
			t.Errorf("%v bytes are reserved for responses in the end", left)
		}
	})
	return client
}

// value returns the value of a counter or a gauge.
func value(t *testing.T, of prometheus.Metric) int {
	t.Helper()
	var metric dto.Metric
	if err := of.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return int(metric.GetCounter().GetValue() + metric.GetGauge().GetValue())
}

const credential = "seam_apikey_0123456789"

func authorized() http.Header { return http.Header{"Authorization": {"Bearer " + credential}} }

// call makes the smallest call to an endpoint. What the messages hold does not matter to the client.
func call(ctx context.Context, client *Client, at Endpoint) (Response, *grantResponse, *seamerr.Error) {
	return send(ctx, client, Call{Endpoint: at})
}

// once makes a call for a caller that retries by itself, so that it makes one request.
func once(ctx context.Context, client *Client) (Response, *grantResponse, *seamerr.Error) {
	return send(ctx, client, Call{Endpoint: GrantAccess(), CallerRetries: true})
}

// send makes a call. Its header and its messages may be left out.
func send(ctx context.Context, client *Client, call Call) (Response, *grantResponse, *seamerr.Error) {
	out := &grantResponse{}
	if call.Header == nil {
		call.Header = authorized()
	}
	if call.In == nil {
		call.In = &grantRequest{}
	}
	if call.Out = out; call.Success == Sessions {
		call.Out = &clientsessionv1.ListResponse{}
	}
	response, err := client.Do(ctx, &call)
	call.Release()
	return *response, out, seamerr.From(err)
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
