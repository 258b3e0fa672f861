package main

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	gateway "github.com/clientsession/client-session-service/gen/gateway/seam/clientsession/v1"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// textbook is the service, implemented as in the guides of its libraries: protojson, http.DefaultClient, and a gateway
// that dials the gRPC server over loopback. It has no log, no metrics, no retries and no limits.
type textbook struct {
	clientsessionv1.UnimplementedClientSessionServiceServer

	url string
}

func runTextbook(ctx context.Context, upstream string) error {
	overGRPC, overHTTP, err := openFaces(ctx)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	clientsessionv1.RegisterClientSessionServiceServer(server, &textbook{url: "http://" + upstream})
	go func() { _ = server.Serve(overGRPC) }()

	mux := runtime.NewServeMux()
	err = gateway.RegisterClientSessionServiceHandlerFromEndpoint(ctx, mux, overGRPC.Addr().String(),
		[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})
	if err != nil {
		return err
	}
	return newServer(mux).Serve(overHTTP)
}

func (t *textbook) GrantAccess(
	ctx context.Context, in *clientsessionv1.GrantAccessRequest,
) (*clientsessionv1.GrantAccessResponse, error) {
	body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(in)
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+grantPath, bytes.NewReader(body))
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	request.Header.Set("Content-Type", "application/json")
	for _, value := range metadata.ValueFromIncomingContext(ctx, "authorization") {
		request.Header.Add("Authorization", value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, status.Errorf(codes.Internal, "status %d, %v", response.StatusCode, err)
	}
	out := new(clientsessionv1.GrantAccessResponse)
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, out); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return out, nil
}
