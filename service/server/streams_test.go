package server_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestPathWithoutMethod shows that what does not even name a method has its line in the log and its count in the
// metrics, as the refusals of TestFailures have. The response is grpc-go's.
func TestPathWithoutMethod(t *testing.T) {
	h := startWithCredential(t)
	_, reply := h.frames(t, ":path", "GrantAccess")
	if !strings.Contains(reply, "grpc-status: 12") {
		t.Errorf("got %s", reply)
	}
	counter := `grpc_server_handled_total{face="grpc",grpc_code="Unimplemented",` + unknownLabels + "}"
	if n := h.metric(t, counter); n != 1 {
		t.Errorf("%g calls of an unknown method are counted", n)
	}
	h.end()
	if lines := h.log.calls(t); len(lines) != 1 || lines[0]["code"] != codes.Unimplemented.String() {
		t.Errorf("the lines are %v", lines)
	}
}

// TestStreamsOfUnauthenticatedClients shows that streams which need no credential are bounded, logged and counted.
func TestStreamsOfUnauthenticatedClients(t *testing.T) {
	h := startWithCredential(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	health := healthv1.NewHealthClient(h.conn)
	results := make(chan error)
	const streams = 300
	conns := h.connections(t, 4)
	for i := range streams {
		go func() {
			stream, err := healthv1.NewHealthClient(conns[i%len(conns)]).Watch(ctx, &healthv1.HealthCheckRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			results <- err
		}()
	}
	taken := 0
	for range streams {
		err := <-results
		switch status.Code(err) {
		case codes.OK:
			taken++
		case codes.Unimplemented: // A client library then goes on without.
		default:
			t.Errorf("a stream ended with %v", err)
		}
	}
	if taken != 256 {
		t.Errorf("%d streams were taken", taken)
	}
	if response, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil || response.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("beside them, health is %v, %v", response, err)
	}
	h.check(t)
	metrics := h.metrics(t)
	for _, want := range []string{`client_session_service_refused_total{limit="streams"} 44`, "client_session_service_grpc_streams 256\n", `client_session_service_connections{face="grpc"} 5`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	cancel()
	seamtest.Eventually(t, "the streams are gone", func() bool {
		return strings.Contains(h.metrics(t), "client_session_service_grpc_streams 0\n")
	})
	h.end()
	if n := strings.Count(h.log.String(), "/grpc.health.v1.Health/Watch"); n != streams {
		t.Errorf("%d lines about streams", n)
	}
}

// connections returns further connections to the gRPC face.
func (h *harness) connections(t *testing.T, n int) []*grpc.ClientConn {
	t.Helper()
	var conns []*grpc.ClientConn
	for range n {
		conn, err := grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		conns = append(conns, conn)
	}
	return conns
}

// TestReflectionModes shows whom reflection responds.
func TestReflectionModes(t *testing.T) {
	t.Parallel()
	passThrough := func(cfg *config.Config) { cfg.SeamAPIKey, cfg.CallersFile = "", "" }
	anonymous := func(cfg *config.Config) { cfg.CallersFile = "" }
	mode := func(r config.Reflection) func(*config.Config) {
		return func(cfg *config.Config) { cfg.Reflection = r }
	}
	none := func(*config.Config) {}
	for name, test := range map[string]struct {
		credentials func(*config.Config)
		mode        config.Reflection
		token       string
		want        codes.Code
	}{
		"auto, callers' own credentials":              {passThrough, config.ReflectionAuto, "", codes.OK},
		"auto, service credential, unauthenticated":   {none, config.ReflectionAuto, "", codes.Unauthenticated},
		"auto, service credential, wrong token":       {none, config.ReflectionAuto, "css_WRONG", codes.Unauthenticated},
		"auto, service credential, known caller":      {none, config.ReflectionAuto, readerToken, codes.OK},
		"auto, service credential, anonymous allowed": {anonymous, config.ReflectionAuto, "", codes.Unauthenticated},
		"on, service credential, unauthenticated":     {none, config.ReflectionOn, "", codes.OK},
		"off, known caller":                           {none, config.ReflectionOff, readerToken, codes.Unimplemented},
		"off, callers' own credentials":               {passThrough, config.ReflectionOff, "", codes.Unimplemented},
	} {
		t.Run(name, func(t *testing.T) {
			h := startWithCredential(t, test.credentials, mode(test.mode))
			ctx := t.Context()
			if test.token != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+test.token)
			}
			stream, err := reflectionv1.NewServerReflectionClient(h.conn).ServerReflectionInfo(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_ = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
			_ = stream.CloseSend()
			if _, err = stream.Recv(); status.Code(err) != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if _, err := clientsessionv1.NewClientSessionServiceClient(h.conn).List(ctx, &clientsessionv1.ListRequest{}); status.Code(err) == codes.Unimplemented {
				t.Errorf("a call gets %v", err)
			}
		})
	}
}
