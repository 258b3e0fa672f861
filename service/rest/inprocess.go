package rest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// inProcess is the connection that the gateway's generated code calls through. It hands the call to the handler in
// this process through the same interceptors that a call over gRPC takes, which costs a third of a call through a
// socket; the gateway's own way to do without one passes the interceptors by.
type inProcess map[string]grpc.UnaryHandler

// Invoke makes one call. The request is empty: the step Receive reads it from what came over HTTP. So a caller that may
// not call is refused before its body is read, and what is wrong with a body is logged and counted like any other
// failure. The response is left empty, too: the gateway writes Seam's own (see seamResponse).
func (p inProcess) Invoke(ctx context.Context, fullMethod string, request, _ any, options ...grpc.CallOption) error {
	method, known := p[fullMethod]
	c, prepared := callFrom(ctx)
	if !known || !prepared {
		return status.Errorf(codes.Unimplemented, "unknown method %s", fullMethod)
	}
	_, err := method(c.context(ctx, fullMethod), request)
	for _, option := range options {
		if header, ok := option.(grpc.HeaderCallOption); ok {
			*header.HeaderAddr = c.stream.header
		}
	}
	return err
}

// NewStream is part of the interface; the contract has no streams.
func (p inProcess) NewStream(
	context.Context, *grpc.StreamDesc, string, ...grpc.CallOption,
) (grpc.ClientStream, error) {
	return nil, status.Error(codes.Unimplemented, "no streams here")
}
