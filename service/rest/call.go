package rest

import (
	"context"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/clientsession/client-session-service/service/callinfo"
)

// call is one call over REST: the parameters of the request, its context and its response, in one allocation.
type call struct {
	parameters

	info   callinfo.Call
	peer   peer.Peer
	stream transportStream
}

// newCall makes a call of a request with a route. Its metadata and its peer are those that the gRPC face would pass to
// the steps. Only the headers of the list, and X-Forwarded-For, become metadata.
func newCall(f *face, w http.ResponseWriter, r *http.Request) *call {
	c := &call{
		parameters: parameters{
			headers: f.headers, codec: f.codec,
			method: r.Method, contentType: r.Header.Get("Content-Type"), query: r.URL.RawQuery,
			length: r.ContentLength, limit: f.maxRequestBytes, body: r.Body, writer: w,
		},
		peer: peer.Peer{Addr: address(r.RemoteAddr)},
	}
	md := make(metadata.MD, len(r.Header))
	c.info = callinfo.Call{Face: callinfo.FaceREST, Metadata: md, RequestID: callID(w), Request: c}
	for _, h := range f.headers {
		if values := r.Header[h.key]; len(values) > 0 {
			md[h.name] = values
		}
	}
	if hops := r.Header["X-Forwarded-For"]; len(hops) > 0 {
		md["x-forwarded-for"] = hops
	}
	if r.TLS != nil {
		c.peer.AuthInfo = credentials.TLSInfo{
			State:          *r.TLS,
			CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
		}
	}
	return c
}

// callFrom returns the call of a context.
func callFrom(ctx context.Context) (*call, bool) {
	c, ok := callinfo.FromContext(ctx).Request.(*call)
	return c, ok
}

// context returns the context for the steps of the call of a method.
func (c *call) context(ctx context.Context, fullMethod string) context.Context {
	c.stream.method = fullMethod
	ctx = peer.NewContext(ctx, &c.peer)
	return grpc.NewContextWithServerTransportStream(ctx, &c.stream)
}

// response returns the body of the response to a call that succeeded.
func (c *call) response() []byte {
	if len(c.info.SeamBody) == 0 {
		return []byte(okResponse)
	}
	return c.info.SeamBody
}

// transportStream collects the headers of a handler's response.
type transportStream struct {
	method string
	header metadata.MD
}

func (s *transportStream) Method() string { return s.method }

func (s *transportStream) SetHeader(md metadata.MD) error {
	if s.header == nil {
		s.header = md
	} else {
		s.header = metadata.Join(s.header, md)
	}
	return nil
}

func (s *transportStream) SendHeader(md metadata.MD) error { return s.SetHeader(md) }

// SetTrailer drops trailers: REST responses of Seam have none.
func (s *transportStream) SetTrailer(metadata.MD) error { return nil }

// address is a caller's address in the form of net/http.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

var (
	_ net.Addr         = address("")
	_ callinfo.Request = (*call)(nil)
)
