package server_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/server"
)

// panickingLog is a log that panics at every line with that message: it stands for a panic in any of the steps that are
// not the handler's.
type panickingLog struct {
	slog.Handler

	message string
}

func (b panickingLog) Handle(ctx context.Context, line slog.Record) error {
	if line.Message == b.message {
		panic("seam_secretvalue in a panic")
	}
	return b.Handler.Handle(ctx, line)
}

func (b panickingLog) WithAttrs(attributes []slog.Attr) slog.Handler {
	return panickingLog{b.Handler.WithAttrs(attributes), b.message}
}

// TestPanics shows that a panic in a step of a call, or outside of any, is an INTERNAL error with a request id over
// both faces, is counted and logged without its value, and that the service lives.
func TestPanics(t *testing.T) {
	for _, message := range []string{"call", "no route"} {
		t.Run("in the line "+message, func(t *testing.T) {
			log := &logBuffer{}
			cfg := config.Config{
				GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
				DefaultTimeout: time.Minute, MaxTimeout: time.Minute,
				MaxInFlight: 1, DrainTimeout: time.Minute, MaxConnectionAge: time.Second,
			}
			server.StartSeam(t, sandbox.New(sandbox.Options{}), &cfg)
			s, err := server.New(cfg, slog.New(panickingLog{slog.NewJSONHandler(log, nil), message}))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			conn, err := grpc.NewClient(s.Addresses().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			h := &harness{t: t, at: s.Addresses(), conn: conn, http: &http.Client{Transport: &http.Transport{}}}
			defer func() {
				_ = conn.Close()
				h.http.CloseIdleConnections()
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}()
			path, want := grantPath, 5
			if message == "no route" {
				path, want = "/nowhere", 1
			}
			if message == "call" { // Twice: a call that panicked holds nothing that the next one needs.
				for range 2 {
					var trailer metadata.MD
					_, err := clientsessionv1.NewClientSessionServiceClient(conn).GrantAccess(authorized(t), grantByID(), grpc.Trailer(&trailer))
					id := strings.Join(trailer.Get("seam-request-id"), ",")
					if status.Code(err) != codes.Internal || status.Convert(err).Message() != "Internal error" || id == "" {
						t.Errorf("gRPC: got %v, request id %q", err, id)
					}
				}
				watch, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{Service: "none"})
				for err == nil { // The panic is in the log of its end, which is at its maximum age.
					_, err = watch.Recv()
				}
				if status.Code(err) != codes.Internal || len(watch.Trailer().Get("seam-request-id")) != 1 {
					t.Errorf("a stream: got %v, %v", err, watch.Trailer())
				}
				if err := conn.Invoke(t.Context(), "/no/Method", grantByID(), &emptypb.Empty{}); status.Code(err) != codes.Internal {
					t.Errorf("an unknown method: got %v", err)
				}
			}
			got := h.send(http.MethodPost, path, byID)
			if message == "call" { // The line is written after the response.
				if got.status != http.StatusOK || got.members(t)["ok"] != true {
					t.Errorf("REST: got %d %s", got.status, got.text)
				}
			} else if failure := got.failure(t); got.status != http.StatusInternalServerError || failure["type"] != "internal_server_error" ||
				failure["request_id"] == "" || failure["request_id"] != got.header.Get("Seam-Request-Id") ||
				got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("REST: got %d %s, %v", got.status, got.text, got.header)
			}
			if lines := strings.Count(log.String(), `"msg":"panic"`); lines != want {
				t.Errorf("%d panics in the log, want %d", lines, want)
			}
			if !strings.Contains(log.String(), got.header.Get("X-Request-Id")) || strings.Contains(log.String(), "seam_secret") {
				t.Errorf("the log lacks the request id, or quotes the panic's value: %s", log)
			}
			_, text := h.admin("/metrics")
			if !strings.Contains(text, "client_session_service_panics_total "+string(rune('0'+want))) {
				t.Errorf("not %d panics in the metrics", want)
			}
		})
	}
}
