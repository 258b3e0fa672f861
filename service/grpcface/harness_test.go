package grpcface_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/grpcface"
	"github.com/clientsession/client-session-service/service/servicetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const grantMethod = clientsessionv1.ClientSessionService_GrantAccess_FullMethodName

type (
	grantRequest  = clientsessionv1.GrantAccessRequest
	grantResponse = clientsessionv1.GrantAccessResponse
	handler       = func(context.Context, *grantRequest) (*grantResponse, error)
)

// harness is the gRPC face over TLS, with health, reflection and a handler of GrantAccess, and a caller.
type harness struct {
	clientsessionv1.ClientSessionServiceClient

	conn *grpc.ClientConn
	// stop ends the face and waits for its calls, and log is to be read after that.
	stop func()
	log  bytes.Buffer
}

// start serves the face until the test ends. A call may take a minute.
func start(t *testing.T, handle handler) *harness {
	t.Helper()
	h := &harness{}
	rules, err := call.NewRules(clientsessionv1.File_seam_clientsession_v1_client_session_service_proto.Messages())
	if err != nil {
		t.Fatal(err)
	}
	calls := call.NewServer(call.Config{
		Logger: slog.New(slog.NewJSONHandler(&h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Served: grpcface.Served(), Registry: prometheus.NewRegistry(),
		Panics:        prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"}),
		InFlight:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "in_flight"}),
		Refused:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"limit"}),
		Authenticator: auth.NewPassThrough(), Rules: rules, MaxInFlight: 64,
		DefaultTimeout: time.Minute, MaxTimeout: time.Minute, StreamLifetime: time.Minute, StreamCtx: t.Context(),
	})
	authority := servicetest.NewAuthority(t, "ca")
	certificate := credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{authority.Pair(t, "server")}})
	server := grpcface.New(grpcface.Config{
		Calls: calls, Methods: []*call.Method{call.Unary(grantMethod, handle)},
		Health: health.NewServer(), Reflection: true,
		OpenStreams: prometheus.NewGauge(prometheus.GaugeOpts{Name: "open"}), MaxHeaderBytes: 32 << 10, MaxTimeout: time.Minute,
		Options: []grpc.ServerOption{grpc.Creds(certificate)},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	h.stop = sync.OnceFunc(server.GracefulStop)
	trusting := grpc.WithTransportCredentials(credentials.NewTLS(authority.Client(t, nil)))
	if h.conn, err = grpc.NewClient(listener.Addr().String(), trusting); err != nil {
		t.Fatal(err)
	}
	h.ClientSessionServiceClient = clientsessionv1.NewClientSessionServiceClient(h.conn)
	t.Cleanup(func() {
		_ = h.conn.Close()
		h.stop()
		serving.Wait()
	})
	return h
}

// answering returns a handler that always gives one response.
func answering(response *grantResponse, err error) handler {
	return func(context.Context, *grantRequest) (*grantResponse, error) { return response, err }
}

// authorized returns a context whose calls carry a credential.
func authorized(t *testing.T) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer seam_key")
}

func grantByID() *grantRequest {
	return &grantRequest{ClientSessionId: new("session"), ConnectedAccountIds: []string{"account"}}
}
