// Package callinfo holds what is known of the call in hand.
//
// A record is made where a call comes in, filled on its way (by the REST face, the interceptors and the handler) and
// read where the call ends: the access log, the metrics and the response's headers. It travels in the context and not
// in metadata, so that nothing a caller sends can forge it.
package callinfo

import (
	"cmp"
	"context"
	"io"
	"net/http"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// The faces a call can come in by.
const (
	FaceGRPC = "grpc"
	FaceREST = "rest"
)

// Call is the record of one call. One goroutine at a time uses it: each step of a call runs after the other.
type Call struct {
	// Face is FaceGRPC or FaceREST.
	Face string

	// RequestID names the call in our own log: what the caller sent as x-request-id, or a fresh UUID.
	RequestID string

	// SeamRequestID is what Seam named its response, empty when Seam did not answer.
	SeamRequestID string

	// SeamStatus is the HTTP status of Seam's response, 0 when Seam did not answer.
	SeamStatus int

	// SeamBody is Seam's response to a call over REST that was answered well: the face hands it on as it is. Empty when
	// it had none.
	SeamBody []byte

	// Skipped are the names of members of Seam's response that are not of the type they are documented to be.
	Skipped []string

	// Attempts is how many requests were sent to Seam, RetryReason why the last one was retried, nil if there was one
	// only.
	Attempts    int
	RetryReason error

	// Request is the request as it came in: its headers are known, its body is still to be read.
	Request Request

	// Violations are what is wrong with single values of a request that could be read; the rules of the contract are
	// checked on the others, and all is told at once.
	Violations []seamerr.FieldViolation

	// CallerRetries is true when the caller retries calls that failed, so that they are not retried here as well.
	CallerRetries bool

	// Caller is who calls, once proven: the name in the callers file. Empty when the caller's own credential goes to
	// Seam, where it means something to Seam alone.
	Caller string

	// CallerKey tells callers apart where none is to be the worse for another: a hash, from which no credential can be
	// told.
	CallerKey uint64

	// Proven is true when the caller is known, or Seam has accepted its credential before. All who are not share what one
	// caller may have: anybody can make up credentials.
	Proven bool

	// ServiceCredential is true when the credential in SeamHeader is the service's own and not the caller's.
	ServiceCredential bool

	// SeamHeader has the headers that go to Seam with the call, the credential among them. It is never logged.
	SeamHeader http.Header
}

// Request is what a face has of a request before its body has been read.
type Request interface {
	// Reader reads the body. Its errors are io.EOF and *seamerr.Error.
	io.Reader

	// Decode decodes the body into message and keeps no part of it. What is wrong with single values goes into the call's
	// Violations; the error is for a body that cannot be decoded at all.
	Decode(call *Call, body []byte, message any) *seamerr.Error

	// Cut makes a Read that waits for the body end with an error. Any goroutine may call it while one runs.
	Cut()
}

// ResponseID is the id that goes on the response: Seam's when Seam answered, since that is the one Seam's support asks
// for, else our own.
func (c *Call) ResponseID() string { return cmp.Or(c.SeamRequestID, c.RequestID) }

type key struct{}

// Begin returns the record of the call and a context that carries it. A call that has none yet came over gRPC: the REST
// face opens a record by itself.
func Begin(ctx context.Context) (context.Context, *Call) {
	call := FromContext(ctx)
	if call.Face == "" {
		call.Face = FaceGRPC
		ctx = NewContext(ctx, call)
	}
	return ctx, call
}

// NewContext returns a context that carries call.
func NewContext(ctx context.Context, call *Call) context.Context {
	return context.WithValue(ctx, key{}, call)
}

// FromContext returns the record of the call. Outside of a call it returns an empty one that nobody else sees, so that
// no reader needs to ask.
func FromContext(ctx context.Context) *Call {
	if call, ok := ctx.Value(key{}).(*Call); ok {
		return call
	}
	return &Call{}
}
