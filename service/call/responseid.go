package call

import (
	"cmp"
	"maps"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// headerSeamRequestID is the header for Seam's id of a request, on every response: the id of the call where Seam has
	// none.
	headerSeamRequestID = "seam-request-id"

	// trailerPushback is the trailer by which a gRPC server controls its clients' retry policies (gRFC A6).
	trailerPushback = "grpc-retry-pushback-ms"
)

// setID sets the id of the call, unless its face has done so.
func (c *Call) setID() {
	if c.CallID == "" {
		c.CallID = NewCallID(c.Metadata[HeaderCallID])
	}
}

// withIDs returns the error of the call with both of its ids, nil for none.
func (c *Call) withIDs(failure *seamerr.Error) *seamerr.Error {
	if failure == nil {
		return nil
	}
	named := *failure
	named.SeamRequestID, named.CallID = cmp.Or(named.SeamRequestID, c.ResponseID()), c.CallID
	return &named
}

// ResponseMetadata returns the ids of the call, and the headers of Seam's response that the caller gets, as headers of
// a gRPC response, and where the call failed as trailers. Then the response is trailers-only: once a client has
// received headers, the call is committed and its retry policy does not apply any more.
func (c *Call) ResponseMetadata(failure *seamerr.Error) metadata.MD {
	ids := [...]string{c.ResponseID(), c.CallID}
	md := metadata.MD{headerSeamRequestID: ids[:1:1], HeaderCallID: ids[1:]}
	maps.Copy(md, c.SeamResponseHeader)
	if failure != nil {
		if wait := pushback(failure); wait != "" {
			md.Set(trailerPushback, wait)
		}
	}
	return md
}

// pushback returns when the retry policy of a gRPC client may retry the call, in milliseconds. A negative number means
// never; an empty string leaves it to the client. It is positive for UNAVAILABLE only: grpc-java retries whatever code
// comes with a positive one, and so would wait for a rate limit until its deadline.
func pushback(e *seamerr.Error) string {
	switch {
	case e.RetryAfter == nil && !e.NoRetry:
		return ""
	case e.NoRetry || e.GRPCCode() != codes.Unavailable:
		return "-1"
	default:
		return strconv.FormatInt(max(e.RetryAfter.Milliseconds(), 1), 10)
	}
}
