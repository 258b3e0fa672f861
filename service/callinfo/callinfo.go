// Package callinfo is the record of a call.
//
// A record begins where a call arrives, is filled on its way (by the REST face, the interceptors and the handler) and
// is read at the end of the call: by the access log, the metrics and the response's headers. It travels in the context
// and not in metadata, so that no caller can forge it. It has the headers of the request too: grpc-go copies metadata
// for each use of it.
package callinfo

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// The faces of the service.
const (
	FaceGRPC = "grpc"
	FaceREST = "rest"
)

// Call is the record of one call. It is not safe for concurrent use: the steps of a call run one after the other.
type Call struct {
	// Face is FaceGRPC or FaceREST.
	Face string

	// Metadata has the headers of the request, by their names in lower case. It may not be changed, and is never logged.
	Metadata metadata.MD

	// Cancel cancels the context of a call that got its deadline before the steps, nil for any other.
	Cancel context.CancelFunc

	// RequestID is the id of the call in the service's log: the caller's x-request-id, or a new UUID.
	RequestID string

	// TraceID is the id of the trace that the call is part of, empty where calls are not traced.
	TraceID string

	// SeamRequestID is the id in Seam's response, empty without a response.
	SeamRequestID string

	// SeamStatus is the HTTP status of Seam's response, 0 without a response.
	SeamStatus int

	// SeamDuration is how long the requests to Seam took, without the waits between them.
	SeamDuration time.Duration

	// SeamBody is the body of Seam's success, empty when it had none. The REST face passes it on unchanged.
	SeamBody []byte

	// Skipped are the names of members of Seam's response that are not of their documented type.
	Skipped []string

	// Attempts is how many requests were sent to Seam, RetryReason why the last one was retried, nil if there was one
	// only.
	Attempts    int
	RetryReason error

	// Request is the request before its body has been read.
	Request Request

	// Violations are those of single values of a request that could be read. The rules of the contract are checked on the
	// others, and the error has all of them.
	Violations []seamerr.FieldViolation

	// CallerRetries is true when the caller retries failed calls, so that they are not retried here as well.
	CallerRetries bool

	// Caller is the authenticated caller: the name in the callers file. Empty when the caller's own credential goes to
	// Seam, which alone can authenticate it.
	Caller string

	// CallerKey identifies the caller for limits and circuit breakers: a hash, which reveals no credential.
	CallerKey uint64

	// Proven is true when the caller is authenticated, or Seam has accepted its credential before. All other callers
	// share the limits of one: credentials can be made up.
	Proven bool

	// ServiceCredential is true when the credential in SeamHeader is the service credential and not the caller's.
	ServiceCredential bool

	// SeamHeader has the headers that go to Seam with the call, the credential included. It is never logged.
	SeamHeader http.Header
}

// Request is a request of which a face has read the headers and not the body.
type Request interface {
	// Reader reads the body. Its errors are io.EOF and *seamerr.Error.
	io.Reader

	// Decode decodes the body into message and keeps no part of it. Violations of single values go into the call's
	// Violations; the error is for a body that cannot be decoded at all.
	Decode(call *Call, body []byte, message any) *seamerr.Error

	// Cut makes a Read that waits for the body fail. Any goroutine may call it during a Read.
	Cut()
}

// ResponseID is the request id of the response: Seam's if there is one, since Seam's support asks for it, else the
// service's own.
func (c *Call) ResponseID() string { return cmp.Or(c.SeamRequestID, c.RequestID) }

type key struct{}

// NewContext returns a context that carries call.
func NewContext(ctx context.Context, call *Call) context.Context {
	return context.WithValue(ctx, key{}, call)
}

// FromContext returns the record of the call. Outside of a call it returns a new, empty one, so that it is never nil.
func FromContext(ctx context.Context) *Call {
	if call, ok := ctx.Value(key{}).(*Call); ok {
		return call
	}
	return &Call{}
}
