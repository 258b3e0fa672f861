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
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/server"
)

// panickingLog is a log that panics at the line of every call: it stands for a panic in any of the steps that are not
// the handler's.
type panickingLog struct{ slog.Handler }

func (l panickingLog) Handle(ctx context.Context, line slog.Record) error {
	if line.Message == "call" {
		panic("seam_secretvalue in a panic")
	}
	return l.Handler.Handle(ctx, line)
}

func (l panickingLog) WithAttrs(attributes []slog.Attr) slog.Handler {
	return panickingLog{l.Handler.WithAttrs(attributes)}
}

// TestPanics shows that a panic at the end of a call is an INTERNAL error with a request id, unless the response has
// been written, is counted and logged without its value, and that the service lives. The tests of service/call show the
// same of each step of a call.
func TestPanics(t *testing.T) {
	log := &logBuffer{}
	cfg := config.Config{
		GRPCListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
		DefaultTimeout: time.Minute, MaxTimeout: time.Minute,
		MaxInFlight: 1, DrainTimeout: time.Minute, MaxConnectionAge: time.Minute,
	}
	server.StartSeam(t, sandbox.New(sandbox.Options{}), &cfg)
	s, err := server.New(cfg, slog.New(panickingLog{slog.NewJSONHandler(log, nil)}))
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
	var trailer metadata.MD
	_, err = h.client().GrantAccess(authorized(t), grantByID(), grpc.Trailer(&trailer))
	id := strings.Join(trailer.Get("seam-request-id"), ",")
	if status.Code(err) != codes.Internal || status.Convert(err).Message() != "Internal error" || id == "" {
		t.Errorf("gRPC: got %v, request id %q", err, id)
	}
	// Over REST the line is written after the response.
	got := h.grant(byID)
	if got.status != http.StatusOK || got.members(t)["ok"] != true {
		t.Errorf("REST: got %d %s", got.status, got.text)
	}
	if lines := strings.Count(log.String(), `"msg":"panic"`); lines != 2 {
		t.Errorf("%d panics in the log, want 2", lines)
	}
	if !strings.Contains(log.String(), got.header.Get("X-Request-Id")) || strings.Contains(log.String(), "seam_secret") {
		t.Errorf("the log lacks the request id, or quotes the panic's value: %s", log)
	}
	if strings.Contains(log.String(), "superfluous") {
		t.Error("the log has an error of net/http about a second response")
	}
	if _, text := h.admin("/metrics"); !strings.Contains(text, "client_session_service_panics_total 2") {
		t.Error("not 2 panics in the metrics")
	}
}
