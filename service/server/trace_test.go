package server_test

import (
	"context"
	"fmt"
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

// TestRefusalsAreLoggedAndCounted shows that whatever is refused over gRPC, even what is no message or no method, has
// one line in the log, its count in the metrics, a request id and details, and that no text of an unauthenticated
// client is a label.
func TestRefusalsAreLoggedAndCounted(t *testing.T) {
	t.Parallel()
	const call = "/seam.clientsession.v1.ClientSessionService/GrantAccess"
	for name, test := range map[string]struct {
		method   string
		raw      []byte
		headers  []string
		code     codes.Code
		reason   string
		labelled string
	}{
		"malformed message": {
			call,
			[]byte{0xff},
			nil, codes.InvalidArgument, "INVALID_INPUT",
			`grpc_method="GrantAccess",grpc_service="seam.clientsession.v1.ClientSessionService"`,
		},
		"message over the limit": {
			call, make([]byte, 128<<10+1), nil, codes.ResourceExhausted, "PAYLOAD_TOO_LARGE",
			`grpc_method="GrantAccess",grpc_service="seam.clientsession.v1.ClientSessionService"`,
		},
		"no credential": {
			call,
			[]byte{0xff},
			[]string{"authorization", ""},
			codes.Unauthenticated, "UNAUTHORIZED",
			`grpc_method="GrantAccess",grpc_service="seam.clientsession.v1.ClientSessionService"`,
		},
		"unknown method": {
			"/seam.clientsession.v1.ClientSessionService/seam_secret", nil, nil, codes.Unimplemented, "METHOD_NOT_FOUND",
			`grpc_method="unknown",grpc_service="unknown"`,
		},
		"unknown service": {
			"/seam_secret/GrantAccess", nil, nil, codes.Unimplemented, "METHOD_NOT_FOUND",
			`grpc_method="unknown",grpc_service="unknown"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := startWithCredential(t)
			md := metadata.Pairs("authorization", "Bearer "+ordersToken)
			for i := 0; i < len(test.headers); i += 2 {
				md.Delete(test.headers[i])
			}
			var trailer metadata.MD
			err := h.conn.Invoke(metadata.NewOutgoingContext(t.Context(), md), test.method, test.raw, &[]byte{},
				grpc.ForceCodec(rawCodec{}), grpc.Trailer(&trailer))
			st := status.Convert(err)
			d := details(t, st)
			id := strings.Join(trailer.Get("seam-request-id"), ",")
			if st.Code() != test.code || d.info.GetReason() != test.reason || id == "" || d.request.GetRequestId() != id {
				t.Errorf("got %v, request id %q", st.Proto(), id)
			}
			h.traced(t, test.code, id, test.labelled)
		})
	}
	t.Run("path without a method", func(t *testing.T) {
		h := startWithCredential(t)
		_, reply := h.frames(t, ":path", "GrantAccess")
		if !strings.Contains(reply, "grpc-status: 12") || !strings.Contains(reply, "grpc-status-details-bin") {
			t.Errorf("got %s", reply)
		}
		h.traced(t, codes.Unimplemented, "", `grpc_method="unknown",grpc_service="unknown"`)
	})
}

// traced checks that the log has one line about a call, with the code and the id, and that the metrics count it.
func (h *credentialHarness) traced(t *testing.T, code codes.Code, id, labelled string) {
	t.Helper()
	metrics := h.metrics(t)
	want := fmt.Sprintf(`grpc_server_handled_total{face="grpc",grpc_code="%s",%s,grpc_type="unary"} 1`, code, labelled)
	if !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
	if strings.Contains(metrics, "secret") {
		t.Error("a text of an unauthenticated client is in the metrics")
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	lines := h.log.calls(t)
	if len(lines) != 1 || lines[0]["code"] != code.String() || (id != "" && lines[0]["call_id"] != id) {
		t.Errorf("the lines are %v", lines)
	}
	h.noSecret(t, "the log", h.log.String())
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
		case codes.ResourceExhausted:
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
	if err := h.stop(); err != nil {
		t.Error(err)
	}
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
