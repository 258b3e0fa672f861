package server_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/server"
)

const seamResponse = `{"client_session":{"client_session_id":"3ada79d3-2848-4320-b2ef-a82e1e6dafac","workspace_id":"w",` +
	`"created_at":"2026-01-02T03:04:05.000Z","expires_at":"2027-01-02T03:04:05.000Z","token":"seam_cst1x",` +
	`"user_identifier_key":"jane_doe","device_count":2,"connect_webview_ids":[],` +
	`"connected_account_ids":["c35ecf64-474a-466a-95a6-7b35cb4c8bb4"],"user_identity_ids":[]},"ok":true}`

// BenchmarkCall measures a call over each face, and in the same run what no service of this kind can go below: a bare
// gRPC call, or a bare HTTP request for the REST face, and a bare HTTP request to Seam. Compare `cpu-ns/op`, the time
// of the whole process with caller and Seam in it, as ratios to the floor of the same run: the machine's speed is in
// both.
func BenchmarkCall(b *testing.B) {
	ctx, s, seam := benchService(b, seamResponse)
	bare := grpc.NewServer()
	clientsessionv1.RegisterClientSessionServiceServer(bare, prebuilt{})
	bareListener := listen(b)
	go func() { _ = bare.Serve(bareListener) }()
	b.Cleanup(bare.Stop)

	client := seam.Client() // Over HTTP/2 to Seam, as the service, and over HTTP/1.1 to the REST face.
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	overGRPC := func(address string) func() error {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		stub, request := clientsessionv1.NewClientSessionServiceClient(conn), grantByID()
		out := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+sandbox.APIKey)
		return func() error {
			_, err := stub.GrantAccess(out, request)
			return err
		}
	}
	overHTTP := func(base string) func() error { return func() error { return postGrant(ctx, client, base) } }
	both := func(calls ...func() error) func() error {
		return func() error {
			for _, call := range calls {
				if err := call(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	measure(b, "grpc/floor", both(overGRPC(bareListener.Addr().String()), overHTTP(seam.URL)))
	measure(b, "grpc/service", overGRPC(s.Addresses().GRPC))
	measure(b, "rest/floor", both(overHTTP(seam.URL), overHTTP(seam.URL)))
	measure(b, "rest/service", overHTTP("http://"+s.Addresses().HTTP))
}

// benchService runs the service until the benchmark ends, in front of a Seam that has one response to all requests, over
// TLS and HTTP/2.
func benchService(b *testing.B, response string) (ctx context.Context, s *server.Server, seam *httptest.Server) {
	b.Helper()
	seam = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Seam-Request-Id", "06161bd0-b59a-4a49-89ce-d76274a1558b") // Seam names each response.
		_, _ = io.WriteString(w, response)
	}))
	seam.EnableHTTP2 = true
	seam.StartTLS()
	b.Cleanup(seam.Close)
	roots, err := seamtest.TrustFile(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	s, err = server.New(config.Config{
		GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
		SeamEndpoint: parseURL(b, seam.URL), SeamCAFile: roots,
		DefaultTimeout: time.Minute, MaxTimeout: time.Minute, MaxInFlight: 1024, DrainTimeout: time.Minute,
		MaxConnectionAge: 5 * time.Minute, Version: "bench",
	}, slog.New(slog.NewJSONHandler(io.Discard, nil))) //nolint:sloglint // A log line is part of what a call costs.
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	return ctx, s, seam
}

// measure runs a call with 16 in flight for each processor and reports the time of the process's processors for each.
func measure(b *testing.B, name string, call func() error) {
	b.Run(name, func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(16)
		before := cpu(b)
		b.RunParallel(func(loop *testing.PB) {
			for loop.Next() {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
		b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
	})
}

func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func postGrant(ctx context.Context, client *http.Client, base string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+grantPath, bytes.NewReader([]byte(byID)))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+sandbox.APIKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// prebuilt is a service that does nothing.
type prebuilt struct {
	clientsessionv1.UnimplementedClientSessionServiceServer
}

func (prebuilt) GrantAccess(
	context.Context, *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	return &clientsessionv1.GrantAccessResponse{Ok: true}, nil
}

func listen(b *testing.B) net.Listener {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return listener
}
