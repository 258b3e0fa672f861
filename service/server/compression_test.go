package server_test

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// TestCompressionIsRefused shows that no call or stream takes compressed messages, although a library has registered
// gzip with grpc-go: some kilobytes of it decompress to gigabytes.
func TestCompressionIsRefused(t *testing.T) {
	h := start(t)
	compressed := grpc.UseCompressor(gzip.Name)
	for name, call := range map[string]func() error{
		"call": func() error {
			_, err := h.client().GrantAccess(authorized(t), grantByID(), compressed)
			return err
		},
		"health": func() error {
			_, err := healthv1.NewHealthClient(h.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}, compressed)
			return err
		},
		"watch": func() error {
			stream, err := healthv1.NewHealthClient(h.conn).Watch(t.Context(), &healthv1.HealthCheckRequest{}, compressed)
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
		"reflection": func() error {
			stream, err := reflectionv1.NewServerReflectionClient(h.conn).ServerReflectionInfo(t.Context(), compressed)
			if err == nil {
				_ = stream.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
				_, err = stream.Recv()
			}
			return err
		},
	} {
		if err := call(); status.Code(err) != codes.Unimplemented || status.Convert(err).Message() != "Compression of messages is not supported" {
			t.Errorf("%s gets %v", name, err)
		}
	}
	if got := len(h.sandbox.Requests()); got > 0 {
		t.Errorf("%d requests reached Seam", got)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if lines := h.log.calls(t); len(lines) != 4 {
		t.Errorf("the lines are %v", lines)
	}
}
