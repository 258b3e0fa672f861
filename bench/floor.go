package main

import (
	"context"
	"io"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// floor is the least that a service built on grpc-go and net/http does: a unary call with one round trip, with a
// prepared request and response.
type floor struct {
	clientsessionv1.UnimplementedClientSessionServiceServer

	transport *http.Transport
	request   *http.Request
	response  *clientsessionv1.GrantAccessResponse
}

func runFloor(ctx context.Context, upstream string) error {
	url := "http://" + upstream + grantPath
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil) //nolint:gosec // The driver's upstream.
	if err != nil {
		return err
	}
	request.ContentLength = int64(len(grantBody))
	request.Header = http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
	server := grpc.NewServer()
	clientsessionv1.RegisterClientSessionServiceServer(server, &floor{
		transport: tunedTransport(), request: request, response: grantResponse(),
	})
	listener, _, err := openFaces(ctx)
	if err != nil {
		return err
	}
	return server.Serve(listener)
}

func (f *floor) GrantAccess(
	ctx context.Context, _ *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	request := f.request.WithContext(ctx)
	request.Body = io.NopCloser(strings.NewReader(grantBody))
	response, err := f.transport.RoundTrip(request)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		return nil, status.Errorf(codes.Internal, "status %d, %v", response.StatusCode, err)
	}
	return f.response, nil
}
