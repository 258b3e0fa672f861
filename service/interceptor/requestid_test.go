package interceptor_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// headers is the transport of a call. It records the headers and the trailers of the response.
type headers struct {
	metadata.MD

	trailer metadata.MD
}

func (*headers) Method() string                   { return method }
func (h *headers) SetHeader(md metadata.MD) error { h.MD = metadata.Join(h.MD, md); return nil }
func (*headers) SendHeader(metadata.MD) error     { return nil }

func (h *headers) SetTrailer(md metadata.MD) error {
	h.trailer = metadata.Join(h.trailer, md)
	return nil
}

func TestRequestIDOfCaller(t *testing.T) {
	for name, test := range map[string]struct {
		sent  []string
		taken bool
	}{
		"none":              {nil, false},
		"one":               {[]string{"call-1"}, true},
		"every character":   {[]string{`!"#$%&'()*+,-./:;<=>?@[\]^_{|}~`}, true},
		"longest":           {[]string{strings.Repeat("x", 128)}, true},
		"too long":          {[]string{strings.Repeat("x", 129)}, false},
		"empty":             {[]string{""}, false},
		"with a space":      {[]string{"a b"}, false},
		"with a line break": {[]string{"a\nb"}, false},
		"with a zero byte":  {[]string{"a\x00"}, false},
		"with a delete":     {[]string{"a\x7f"}, false},
		"not ASCII":         {[]string{"é"}, false},
		"not UTF-8":         {[]string{"\xff"}, false},
		"repeated":          {[]string{"a", "b"}, false},
		"repeated alike":    {[]string{"a", "a"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			md := metadata.MD{}
			md.Append("x-request-id", test.sent...)
			transport := &headers{}
			ctx, _ := withCall(t, callinfo.Call{Face: callinfo.FaceGRPC, Metadata: md})
			ctx = grpc.NewContextWithServerTransportStream(ctx, transport)
			var call callinfo.Call
			_, err := interceptor.RequestID(ctx, nil, info(), func(ctx context.Context, _ any) (any, error) {
				call = *callinfo.FromContext(ctx)
				return nil, errors.New("failure")
			})
			if test.taken && call.RequestID != test.sent[0] {
				t.Errorf("id is %q", call.RequestID)
			}
			if _, err := uuid.Parse(call.RequestID); !test.taken && err != nil {
				t.Errorf("id is %q, want a fresh UUID", call.RequestID)
			}
			if call.Face != callinfo.FaceGRPC {
				t.Errorf("face is %q", call.Face)
			}
			if got := transport.trailer.Get("seam-request-id"); len(got) != 1 || got[0] != call.RequestID {
				t.Errorf("the response has the ids %q, want %q", got, call.RequestID)
			}
			if len(transport.MD) > 0 {
				t.Errorf("an error has the headers %v, so no client would retry", transport.MD)
			}
			if e := asError(t, err); e.RequestID != call.RequestID {
				t.Errorf("the error has the id %q, want %q", e.RequestID, call.RequestID)
			}
		})
	}
}

// The id of a call with a response from Seam is Seam's own, for its support.
func TestRequestIDOfSeam(t *testing.T) {
	transport := &headers{}
	ctx, call := withCall(t, callinfo.Call{Face: callinfo.FaceREST})
	ctx = grpc.NewContextWithServerTransportStream(ctx, transport)
	failure := seamerr.NotFound()
	_, err := interceptor.RequestID(ctx, nil, info(), func(ctx context.Context, _ any) (any, error) {
		callinfo.FromContext(ctx).SeamRequestID = "seam-1"
		return nil, failure
	})
	if got := transport.trailer.Get("seam-request-id"); len(got) != 1 || got[0] != "seam-1" {
		t.Errorf("the response has the ids %q", got)
	}
	if e := asError(t, err); e.RequestID != "seam-1" || e.GRPCCode() != codes.NotFound {
		t.Errorf("error is %+v", e)
	}
	if failure.RequestID != "" {
		t.Error("the handler's error was written to; it may be shared")
	}
	if call.Face != callinfo.FaceREST || call.RequestID == "" || call.RequestID == "seam-1" {
		t.Errorf("call is %+v; want the face's own record with an id of our own", call)
	}
}

func TestRequestIDKeepsTheErrorsOwn(t *testing.T) {
	failure := seamerr.NotFound()
	failure.RequestID = "in-the-body"
	_, err := interceptor.RequestID(t.Context(), nil, info(), respond(nil, failure))
	if e := asError(t, err); e.RequestID != "in-the-body" {
		t.Errorf("id is %q", e.RequestID)
	}
}

func TestRequestIDOfResponse(t *testing.T) {
	got, err := interceptor.RequestID(t.Context(), nil, info(), respond("response", nil))
	if got != "response" || err != nil {
		t.Errorf("response %v, error %v", got, err)
	}
}
