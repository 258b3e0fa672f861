// Package interceptor has the steps of each call of either face before its handler, a file each.
// server/steps.go has their order with the reasons.
package interceptor

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// headerRequestID is the header for Seam's id of a request, on every response: the call's own where Seam has none.
	headerRequestID = "seam-request-id"

	// trailerPushback is the trailer by which a gRPC server controls its clients' retry policies (gRFC A6).
	trailerPushback = "grpc-retry-pushback-ms"
)

// RequestID sets the request id of the call, unless the face has done so. Of all steps only RecoverCall runs outside of
// it, since the others use the id. It adds that id and Seam's to the response, and turns every error into an
// *seamerr.Error with both.
func RequestID(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	call := callinfo.FromContext(ctx)
	setRequestID(call)
	response, err := handler(ctx, request)
	ids := responseIDs(call)
	if err == nil {
		// It fails only outside of a call, where there is no header.
		_ = grpc.SetHeader(ctx, ids)
		return response, nil
	}
	// An error has it in the trailers, so that the response is trailers-only: once a client has received headers, the
	// call is committed and its retry policy does not apply any more.
	withID := *seamerr.From(err)
	if withID.RequestID == "" {
		withID.RequestID = call.ResponseID()
	}
	withID.CallID = call.RequestID
	if wait := pushback(&withID); wait != "" {
		ids.Set(trailerPushback, wait)
	}
	_ = grpc.SetTrailer(ctx, ids)
	return nil, &withID
}

// setRequestID sets the id of a call, unless it has one.
func setRequestID(call *callinfo.Call) {
	if call.RequestID == "" {
		call.RequestID = callinfo.RequestID(call.Metadata[callinfo.HeaderRequestID])
	}
}

// responseIDs returns the headers of a response with both of its ids.
func responseIDs(call *callinfo.Call) metadata.MD {
	ids := [...]string{call.ResponseID(), call.RequestID}
	return metadata.MD{headerRequestID: ids[:1:1], callinfo.HeaderRequestID: ids[1:]}
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
