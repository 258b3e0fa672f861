package seam_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/service/service/seam"
	"github.com/clientsession/service/service/seamerr"
	"github.com/clientsession/service/service/seamjson"
)

type (
	request  = clientsessionv1.GrantAccessRequest
	response = clientsessionv1.GrantAccessResponse
)

func TestMain(m *testing.M) {
	if err := trustTestServers(); err != nil {
		log.Fatal(err)
	}
	goleak.VerifyTestMain(m)
}

// trustTestServers makes the certificate of httptest's TLS servers a root of this process, so that the client needs no
// setting for them. Go reads the roots from this file, once, when it first needs them.
func trustTestServers() error {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	file, err := os.CreateTemp("", "roots-*.pem")
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.Setenv("SSL_CERT_FILE", file.Name()); err != nil {
		return err
	}
	return pem.Encode(file, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// upstream is what answers in place of Seam, on a real listener.
type upstream struct {
	*httptest.Server
	// connections and requests count what came in.
	connections, requests atomic.Int32
}

func serve(t *testing.T, handler http.HandlerFunc) *upstream {
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

// answering returns a handler that gives one answer; headers are name and value in turn.
func answering(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// listen hands each connection to the handler until the test ends. It stands in where what comes back is no HTTP.
func listen(t *testing.T, handler func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handler(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return "http://" + listener.Addr().String()
}

func newClient(t *testing.T, endpoint string) *seam.Client {
	t.Helper()
	parsed, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	codec, err := seamjson.New(
		clientsessionv1.File_seam_clientsession_v1_client_session_service_proto,
		clientsessionv1.File_seam_clientsession_v1_client_session_proto,
	)
	if err != nil {
		t.Fatal(err)
	}
	client := seam.New(seam.Config{Endpoint: parsed, UserAgent: "test/1", Codec: codec})
	t.Cleanup(client.Close)
	return client
}

const credential = "seam_apikey_0123456789"

func authorized() http.Header { return http.Header{"Authorization": {"Bearer " + credential}} }

// grant makes the smallest call. The error is nil or what every failure has to be.
func grant(ctx context.Context, t *testing.T, client *seam.Client) (seam.Answer, *response, *seamerr.Error) {
	t.Helper()
	out := &response{}
	answer, err := client.Do(ctx, seam.GrantAccess(), authorized(), &request{}, out)
	if err == nil {
		return answer, out, nil
	}
	var e *seamerr.Error
	if !errors.As(err, &e) {
		t.Errorf("error of type %T: %v", err, err) // Not fatal: parallel calls are made in goroutines of their own.
		e = seamerr.Internal(err)
	}
	return answer, out, e
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
