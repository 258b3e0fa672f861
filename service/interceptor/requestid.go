// Package interceptor has the steps of each call of either face before its handler, a file each.
// server/steps.go has their order with the reasons.
package interceptor

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strconv"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// HeaderCallerRequestID is the customary header for the id of a caller's request.
	HeaderCallerRequestID = "x-request-id"

	// headerRequestID is the header for Seam's id of a request, on every response.
	headerRequestID = "seam-request-id"

	// trailerPushback is the trailer by which a gRPC server controls its clients' retry policies (gRFC A6).
	trailerPushback = "grpc-retry-pushback-ms"
)

// RequestID is the outermost interceptor. It begins the record of the call and sets its request id. It adds an id to
// the response and turns every error into an *seamerr.Error with the same id.
func RequestID(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, call := callinfo.Begin(ctx)
	call.RequestID = callerRequestID(ctx)
	if call.RequestID == "" {
		call.RequestID = newRequestID()
	}
	response, err := handler(ctx, request)
	id := call.ResponseID()
	if err == nil {
		// It fails only outside of a call, where there is no header.
		_ = grpc.SetHeader(ctx, metadata.Pairs(headerRequestID, id))
		return response, nil
	}
	// An error has it in the trailers, so that the response is trailers-only: once a client has received headers, the
	// call is committed and its retry policy does not apply any more.
	withID := *seamerr.From(err)
	if withID.RequestID == "" {
		withID.RequestID = id
	}
	trailer := metadata.Pairs(headerRequestID, id)
	if wait := pushback(&withID); wait != "" {
		trailer.Set(trailerPushback, wait)
	}
	_ = grpc.SetTrailer(ctx, trailer)
	return nil, &withID
}

// newRequestID returns a random UUID. It only has to differ from others, so no entropy of the kernel is spent on it.
func newRequestID() string {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // It is no secret.
	binary.BigEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // The same.
	id[6] = id[6]&0x0f | 0x40                         // Version 4,
	id[8] = id[8]&0x3f | 0x80                         // of the variant of RFC 9562.
	return id.String()
}

// pushback returns when the retry policy of a gRPC client may retry the call, in milliseconds. A negative number means
// never; an empty string leaves it to the client.
func pushback(e *seamerr.Error) string {
	switch {
	case e.NoRetry:
		return "-1"
	case e.RetryAfter != nil:
		return strconv.FormatInt(max(e.RetryAfter.Milliseconds(), 1), 10)
	default:
		return ""
	}
}

// callerRequestID returns the caller's id for the request, or an empty string if it is not valid in a log line and a
// header.
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
