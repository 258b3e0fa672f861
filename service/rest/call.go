package rest

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
	"github.com/clientsession/client-session-service/service/text"
)

// restCall is one call over REST: its record, the parameters of the request, and how the gateway responds to it. The
// parameters are removed from the request before the gateway's generated code can read them: that code drops unknown
// members, takes the first of several values, and quotes values in its errors.
type restCall struct {
	call.Call

	face    *face
	writer  http.ResponseWriter
	request *http.Request

	// respond has the gateway's generated code make the call on the in-process connection, which runs handle, and write
	// the response. err is why there is none.
	respond func(ctx context.Context)
	handle  func(ctx context.Context) (proto.Message, error)
	err     error
	// responded is true once the response has been written, after which no error can be.
	responded bool
}

// newCall makes a call of a request with a route. Only the headers of the list, and X-Forwarded-For, become metadata.
func newCall(f *face, method *call.Method, w http.ResponseWriter, r *http.Request) *restCall {
	md := make(metadata.MD, len(r.Header))
	for _, h := range f.metadataHeaders {
		if values := r.Header[h.key]; len(values) > 0 {
			md[h.name] = values
		}
	}
	if hops := r.Header["X-Forwarded-For"]; len(hops) > 0 {
		md["x-forwarded-for"] = hops
	}
	from := peer.Peer{}
	from.Addr, _ = r.Context().Value(peerKey{}).(net.Addr)
	if r.TLS != nil {
		from.AuthInfo = credentials.TLSInfo{State: *r.TLS}
	}
	return &restCall{
		Call: call.Call{Face: call.FaceREST, Method: method, Metadata: md, Peer: from, CallID: callID(w)},
		face: f, writer: w, request: r,
	}
}

// serve runs once a route has been found. It serves the call, without having read the body, and leaves the gateway a
// request without headers. The gateway would copy them three times and drop some, and Grpc-Timeout and TE would change
// the response.
func (f *face) serve(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, pathParameters map[string]string) {
		method := f.routes[r.URL.Path].method
		c := newCall(f, method.Method, w, r)
		c.respond = func(ctx context.Context) {
			bare := r.WithContext(context.WithValue(ctx, callKey{}, c))
			bare.Header, bare.Host, bare.RemoteAddr, bare.Body, bare.URL.RawQuery = nil, "", "", http.NoBody, ""
			next(w, bare, pathParameters)
		}
		failure := f.Calls.Serve(f.Calls.Begin(r.Context(), &c.Call), &c.Call, c)
		method.responses.count(failure)
		if failure != nil && !c.responded {
			places := f.unread.callers
			if c.SeamHeader == nil { // It has not been authenticated.
				places = f.unread.strangers
			}
			c.passHeaders()
			f.unread.write(w, r, places, func() { writeError(w, failure) })
		}
	}
}

// callKey is the key of the call in a context of the gateway.
type callKey struct{}

// Respond implements call.Face.
func (c *restCall) Respond(ctx context.Context, handle func(context.Context) (proto.Message, error)) error {
	c.handle = handle
	c.respond(ctx)
	c.responded = c.err == nil
	return c.err
}

// limitWriting ends the writing of the response at the deadline of the call: a caller that does not read its response
// must not hold its slot for longer. A connection that has no deadlines is one of a test.
func (c *restCall) limitWriting(ctx context.Context) {
	end := time.Now().Add(minWriteTime)
	if deadline, ok := ctx.Deadline(); ok && deadline.After(end) {
		end = deadline
	}
	_ = http.NewResponseController(c.writer).SetWriteDeadline(end)
}

// passHeaders sets the headers of Seam's response that the caller gets too. Where a page of another origin may read the
// response, it may read them as well.
func (c *restCall) passHeaders() {
	header := c.writer.Header()
	exposed := header[headerExposed]
	for name, values := range c.SeamResponseHeader {
		header[http.CanonicalHeaderKey(name)] = values
		if len(exposed) > 0 {
			header[headerExposed] = append(slices.Clip(header[headerExposed]), name)
		}
	}
}

// Cut implements call.Face. It fails only for a closed connection, which ends the read as well.
func (c *restCall) Cut() { _ = http.NewResponseController(c.writer).SetReadDeadline(time.Unix(1, 0)) }

// Read implements call.Face.
func (c *restCall) Read(part []byte) (int, error) {
	if c.request.ContentLength > call.MaxRequestBytes {
		return 0, seamerr.PayloadTooLarge(call.MaxRequestBytes)
	}
	n, err := c.request.Body.Read(part)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, seamerr.UnreadableBody(errors.New("the body ended early or came too slowly"))
	}
	return n, err
}

// Decode implements call.Face. It also decodes the members beside an invalid one, so that the rules are checked on them
// too.
func (c *restCall) Decode(body []byte, request proto.Message) *seamerr.Error {
	for _, header := range c.face.metadataHeaders {
		for _, value := range c.Metadata[header.name] {
			if !text.IsPrintable(value) {
				return seamerr.InvalidHeader(header.name)
			}
		}
	}
	if len(body) > 0 && !isJSON(c.request.Header.Get("Content-Type")) {
		return seamerr.InvalidContentType(c.request.Method)
	}
	if create, ok := request.(*clientsessionv1.CreateRequest); ok && c.request.Method == http.MethodPost {
		// Seam's two methods of this path differ when the session exists.
		create.IfExists = clientsessionv1.IfExists_IF_EXISTS_FAIL
	}
	violations, err := c.face.Codec.UnmarshalRequest(body, c.request.URL.RawQuery, request)
	if err == nil {
		c.Violations = violations
		return nil
	}
	if refusal, ok := errors.AsType[*seamerr.Error](err); ok {
		return refusal
	}
	return seamerr.InvalidJSON(err)
}

// isJSON reports whether a content type is JSON's. An empty body needs none: some SDKs send an empty form.
func isJSON(contentType string) bool {
	if contentType == "application/json" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/json"
}

// peerKey is the key of the address of the peer in the context of a connection.
type peerKey struct{}

// WithPeer returns the context of a connection with the address of its peer. It is for http.Server.ConnContext: a
// request has that address as a text only.
func WithPeer(ctx context.Context, address net.Addr) context.Context {
	return context.WithValue(ctx, peerKey{}, address)
}

var _ call.Face = (*restCall)(nil)
