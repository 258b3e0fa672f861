package grpcface_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// TestRequestID shows that each response has the id of the request, the caller's if that is well formed: a success in a
// header, an error in a trailer and in its details. The log has the same one.
func TestRequestID(t *testing.T) {
	for name, c := range map[string]struct {
		method, credential string
		err                error
		code               codes.Code
	}{
		"success":          {grantMethod, "Bearer seam_key", nil, codes.OK},
		"handler's error":  {grantMethod, "Bearer seam_key", seamerr.Unreachable(nil), codes.Unavailable},
		"no credential":    {grantMethod, "", nil, codes.Unauthenticated},
		"no such method":   {"/seam.clientsession.v1.ClientSessionService/Nothing", "", nil, codes.Unimplemented},
		"health, no state": {healthv1.Health_Check_FullMethodName, "", nil, codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, answering(&grantResponse{}, c.err))
			var ids []string
			for sent, used := range map[string]bool{"call-1": true, "two words": false} {
				var header, trailer metadata.MD
				ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", c.credential, "x-request-id", sent)
				err := h.conn.Invoke(ctx, c.method, grantByID(), &grantResponse{}, grpc.Header(&header), grpc.Trailer(&trailer))
				if status.Code(err) != c.code {
					t.Fatalf("got %v", err)
				}
				where, id := trailer, info(err).GetMetadata()["x-request-id"]
				if err == nil {
					where, id = header, strings.Join(header.Get("x-request-id"), ", ")
				}
				if _, invalid := uuid.Parse(id); (id == sent) != used || !used && invalid != nil {
					t.Errorf("%q was sent, and the response has %q", sent, id)
				}
				if !slices.Equal(where.Get("x-request-id"), []string{id}) || err != nil && len(header) > 0 {
					t.Errorf("for the id %s the headers are %v, the trailers %v", id, header, trailer)
				}
				ids = append(ids, id)
			}
			h.stop()
			for _, id := range ids {
				if n := strings.Count(h.log.String(), `"call_id":"`+id+`"`); n != 1 {
					t.Errorf("%d lines have the id %s", n, id)
				}
			}
		})
	}
}

// info returns the details of an error.
func info(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

// TestDeadline shows that a caller's deadline counts, but no longer than the limit.
func TestDeadline(t *testing.T) {
	var left time.Duration
	h := start(t, func(ctx context.Context, _ *grantRequest) (*grantResponse, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return &grantResponse{}, nil
	})
	for own, most := range map[time.Duration]time.Duration{time.Hour: time.Minute, 30 * time.Second: 30 * time.Second} {
		ctx, cancel := context.WithTimeout(authorized(t), own)
		if _, err := h.GrantAccess(ctx, grantByID()); err != nil || left > most || left < most-10*time.Second {
			t.Errorf("of %s the handler has %s, %v", own, left, err)
		}
		cancel()
	}
}

// TestHealthAndReflection shows the other services, to callers without a credential: load balancers have none.
func TestHealthAndReflection(t *testing.T) {
	h := start(t, answering(nil, nil))
	client := healthv1.NewHealthClient(h.conn)
	listed, err := client.List(t.Context(), &healthv1.HealthListRequest{})
	if err != nil || len(listed.GetStatuses()) != 1 {
		t.Errorf("the list is %v, %v", listed, err)
	}
	for name, want := range map[string]struct {
		code             codes.Code
		checked, watched healthv1.HealthCheckResponse_ServingStatus
	}{
		"":     {codes.OK, healthv1.HealthCheckResponse_SERVING, healthv1.HealthCheckResponse_SERVING},
		"none": {codes.NotFound, healthv1.HealthCheckResponse_UNKNOWN, healthv1.HealthCheckResponse_SERVICE_UNKNOWN},
	} {
		request := &healthv1.HealthCheckRequest{Service: name}
		got, err := client.Check(t.Context(), request)
		if status.Code(err) != want.code || got.GetStatus() != want.checked {
			t.Errorf("the health of %q is %v, %v", name, got, err)
		}
		watch, err := client.Watch(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := watch.Recv(); err != nil || got.GetStatus() != want.watched {
			t.Errorf("the health of %q, watched, is %v, %v", name, got, err)
		}
	}
	stream, err := reflectionv1.NewServerReflectionClient(h.conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&reflectionv1.ServerReflectionRequest{
		MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
	})
	_ = stream.CloseSend()
	got, err := stream.Recv()
	if err != nil || !strings.Contains(got.String(), clientsessionv1.ClientSessionService_ServiceDesc.ServiceName) {
		t.Errorf("reflection lists %v, %v", got, err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ends with %v", err)
	}
}
