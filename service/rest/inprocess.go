package rest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// inProcess is the connection of the gateway's generated client. It runs the handler in this process, at a third of the
// cost of a socket. The gateway's own in-process registration would go around call.Serve.
type inProcess struct {
	grpc.ClientConnInterface // Nothing of it is used but Invoke: the contract has no streams.
}

// Invoke runs the handler of the call. The gateway leaves the request empty, since Serve has read it, and the response
// stays empty: the gateway writes Seam's own (see seamResponse).
func (inProcess) Invoke(ctx context.Context, fullMethod string, _, _ any, _ ...grpc.CallOption) error {
	c, ok := ctx.Value(callKey{}).(*restCall)
	if !ok || c.Method.FullMethod != fullMethod {
		return status.Errorf(codes.Internal, "%s is not the method of the call", fullMethod)
	}
	if _, err := c.handle(ctx); err != nil {
		return err // The gateway gives it to handleError.
	}
	c.writer.Header()[headerSeamRequestID] = []string{c.ResponseID()}
	c.passHeaders()
	c.limitWriting(ctx)
	return nil
}
