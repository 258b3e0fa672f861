// Package call serves the calls of both faces: Serve is the one way of a call from its headers to its response. The
// other files have what Serve uses on that way, a file each.
package call

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// The faces of the service.
const (
	FaceGRPC = "grpc"
	FaceREST = "rest"
)

// Method is a method of a gRPC service. Its handler gets a context with the record of the call.
type Method struct {
	// FullMethod is the full name, such as /package.Service/Method.
	FullMethod string
	// Public is true for a method that needs no credential and holds no slot: load balancers check health without one.
	// Reflection is true for a method that reveals the contract and nothing else.
	Public, Reflection bool
	// Stream is true for a streaming method, which has neither NewRequest nor Handle: its face has the handler.
	Stream bool
	// NewRequest returns an empty request. It is nil for a method that does not exist.
	NewRequest func() proto.Message
	// Handle is the handler.
	Handle func(ctx context.Context, request proto.Message) (proto.Message, error)
}

// Unary returns a unary method with its handler, which is a method of the generated server interface.
func Unary[In, Out any, PtrIn interface {
	*In
	proto.Message
}, PtrOut interface {
	*Out
	proto.Message
}](fullMethod string, handler func(context.Context, PtrIn) (PtrOut, error)) *Method {
	return &Method{
		FullMethod: fullMethod,
		NewRequest: func() proto.Message { return PtrIn(new(In)) },
		Handle: func(ctx context.Context, request proto.Message) (proto.Message, error) {
			in, ok := request.(PtrIn)
			if !ok {
				return nil, seamerr.Internal(errWrongRequest)
			}
			return handler(ctx, in)
		},
	}
}

// Face is what a face does for one call.
type Face interface {
	// Read reads the body of the request, which nobody has read before. Its errors are io.EOF and *seamerr.Error.
	Read(part []byte) (int, error)
	// Decode decodes the body into the request and keeps no part of it. Violations of single values go into the call's
	// Violations; the error is for a body that cannot be decoded at all.
	Decode(body []byte, request proto.Message) *seamerr.Error
	// Cut makes a Read that waits for the body fail. Any goroutine may call it during a Read.
	Cut()
	// Respond writes the response of the handler, and returns when it is written. It writes nothing for an error, which
	// it returns. A stream gets no handler.
	Respond(ctx context.Context, handle func(context.Context) (proto.Message, error)) error
}

// Connection is the connection of a call, where the address of the peer leads to it.
type Connection interface {
	// BeginCall and EndCall tell when an authenticated call is on the connection, which then makes no room for others.
	BeginCall()
	EndCall()
	// Close closes the connection.
	Close() error
}

// Call is the record of one call. It begins where the call arrives, is filled on its way and is read at its end: by the
// access log, the metrics and the response's headers. It travels in the context and not in metadata, so that no caller
// can forge it. It is not safe for concurrent use.
type Call struct {
	// Face is FaceGRPC or FaceREST, and Method the method that is called.
	Face   string
	Method *Method

	// Metadata has the headers of the request, by their names in lower case. It may not be changed, and is never logged.
	Metadata metadata.MD

	// Peer is the other end of the connection. Its address is a Connection.
	Peer peer.Peer

	// CallID is the id of the call in the service's log: the caller's x-request-id, or a new UUID.
	CallID string

	// TraceID is the id of the trace that the call is part of, empty where calls are not traced.
	TraceID string

	// SeamRequestID is the id in Seam's response, empty without a response.
	SeamRequestID string

	// SeamStatus is the HTTP status of Seam's response, 0 without a response.
	SeamStatus int

	// SeamResponseHeader has the headers of Seam's response that the caller gets too: over REST as such, over gRPC as
	// metadata of the response.
	SeamResponseHeader metadata.MD

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

	// Violations are those of single values of a request that could be read. The rules of the contract are checked on the
	// others, and the error has all of them.
	Violations []seamerr.FieldViolation

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

	// Audited is true when the session of the response is needed for an audit line.
	Audited bool

	// SeamHeader has the headers that go to Seam with the call, the credential included. It is never logged.
	SeamHeader http.Header

	// Response frees its memory when it is released, once it has been written. It is nil where there is none.
	Response interface{ Release() }

	// request and response are the messages of the call, nil for a call that ended before. They are for the audit line,
	// and the response is there as soon as Seam has done what the call asked for.
	request, response proto.Message

	// handling is true while the handler runs and the response is written.
	handling bool

	// cancel ends the context of the call, and gone is closed when the stream or the connection that it came on has
	// ended.
	cancel context.CancelFunc
	gone   <-chan struct{}
}

// ResponseID is the request id of the response: Seam's if there is one, since Seam's support asks for it, else the
// service's own.
func (c *Call) ResponseID() string { return cmp.Or(c.SeamRequestID, c.CallID) }

// Gone is closed when the stream or the connection that the call came on has ended, at the latest at a deadline that
// the client itself has set.
func (c *Call) Gone() <-chan struct{} { return c.gone }

// Cancel ends the context of the call. Any goroutine may call it.
func (c *Call) Cancel() { c.cancel() }

type key struct{}

// NewContext returns a context that carries the record of a call.
func NewContext(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, key{}, c)
}

// FromContext returns the record of the call. Outside of a call it returns a new, empty one, so that it is never nil.
func FromContext(ctx context.Context) *Call {
	if c, ok := ctx.Value(key{}).(*Call); ok {
		return c
	}
	return &Call{}
}
