// Package interceptor has the steps that each call takes before its handler, whichever face it came in by: one file
// each, outermost first: request id, access log, recovery, deadline, and after the caller is known, validation.
package interceptor

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/service/service/callinfo"
	"github.com/clientsession/service/service/seamerr"
)

const (
	// HeaderCallerRequestID is the customary header by which a caller names its request.
	HeaderCallerRequestID = "x-request-id"

	// headerRequestID is the header by which Seam names a request, on every answer.
	headerRequestID = "seam-request-id"
)

// RequestID is outermost: it opens the record of the call and gives it the id that all that follows names. On the way
// back it puts an id on the answer and makes every error an *seamerr.Error that carries the same one. The id is Seam's
// when Seam answered, since that is the one Seam's support asks for, else our own.
func RequestID(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	call := callinfo.FromContext(ctx)
	if call.Face == "" {
		call.Face = callinfo.FaceGRPC
		ctx = callinfo.NewContext(ctx, call)
	}
	call.RequestID = callerRequestID(ctx)
	if call.RequestID == "" {
		call.RequestID = uuid.NewString()
	}
	response, err := handler(ctx, request)
	id := call.SeamRequestID
	if id == "" {
		id = call.RequestID
	}
	if err == nil {
		// It fails only outside of a call, where nobody waits for the header.
		_ = grpc.SetHeader(ctx, metadata.Pairs(headerRequestID, id))
		return response, nil
	}
	// An error has it in the trailers, which are then the only headers of the answer: a client takes headers that come
	// before the status as the beginning of a good answer, and its retry policy does not act any more.
	_ = grpc.SetTrailer(ctx, metadata.Pairs(headerRequestID, id))
	named := *seamerr.From(err)
	if named.RequestID == "" {
		named.RequestID = id
	}
	return nil, &named
}

// callerRequestID returns the id that the caller gave, or nothing if it is not fit for a log line and a header.
func callerRequestID(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, HeaderCallerRequestID)
	if len(values) != 1 || len(values[0]) > 128 {
		return ""
	}
	for _, r := range values[0] {
		if r <= ' ' || r > '~' {
			return ""
		}
	}
	return values[0]
}
