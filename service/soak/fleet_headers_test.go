//go:build fleet

package soak_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestFleetHeaders shows what Envoy does to headers: the caller's request id gets through, no caller can turn on retries or
// timeouts of Envoy, and responses have nothing of Envoy in them.
func TestFleetHeaders(t *testing.T) {
	const id = "front-desk-42"
	f := startFleet(t)
	headers := map[string]string{
		"authorization": "Bearer " + sandbox.APIKey, "x-request-id": id,
		"x-envoy-retry-on": "5xx", "x-envoy-retry-grpc-on": "internal", "x-envoy-max-retries": "3",
		"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-upstream-rq-per-try-timeout-ms": "1",
	}
	check := func(face string, header map[string][]string) {
		t.Helper()
		if got := header["x-request-id"]; len(got) != 1 || got[0] != id {
			t.Errorf("%s: the request id is %q", face, got)
		}
		for name, values := range header {
			if strings.HasPrefix(name, "x-envoy") || name == "server" {
				t.Errorf("%s: the response has %s: %q", face, name, values)
			}
		}
	}
	// If Envoy retried, the second request would succeed.
	once := sandbox.Fault{Path: "/client_sessions/create", Times: 1, Delay: fleetSeamDelay, Status: http.StatusInternalServerError}
	f.seam.clearFaults(t)

	f.seam.inject(t, once)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var header, trailer metadata.MD
	err := f.clients.conns[0].Invoke(metadata.NewOutgoingContext(ctx, metadata.New(headers)),
		clientsessionv1.ClientSessionService_Create_FullMethodName, &clientsessionv1.CreateRequest{},
		&clientsessionv1.CreateResponse{}, grpc.Header(&header), grpc.Trailer(&trailer))
	if status.Code(err) != codes.Internal {
		t.Errorf("gRPC: a call that fails at Seam ends with %v", err)
	}
	check(faceGRPC, metadata.Join(header, trailer))

	f.seam.inject(t, once)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.clients.base+once.Path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("content-type", "application/json")
	response, err := f.clients.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != once.Status {
		t.Errorf("REST: a call that fails at Seam gets %s", response.Status)
	}
	lower := map[string][]string{}
	for name, values := range response.Header {
		lower[strings.ToLower(name)] = values
	}
	check(faceREST, lower)
	f.end()
}
