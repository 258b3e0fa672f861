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

// headers stands in for the transport of a call and takes the headers of its response.
// headers keeps the headers and the trailers of a response.
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
			answered := &headers{}
			ctx := grpc.NewContextWithServerTransportStream(metadata.NewIncomingContext(t.Context(), md), answered)
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
			if got := answered.trailer.Get("seam-request-id"); len(got) != 1 || got[0] != call.RequestID {
				t.Errorf("the answer has the ids %q, want %q", got, call.RequestID)
			}
			if len(answered.MD) > 0 {
				t.Errorf("an error has the headers %v, so no client would try again", answered.MD)
			}
			if e := asError(t, err); e.RequestID != call.RequestID {
				t.Errorf("the error has the id %q, want %q", e.RequestID, call.RequestID)
			}
		})
	}
}

// When Seam answered, its id is the one to ask Seam's support about.
func TestRequestIDOfSeam(t *testing.T) {
	answered := &headers{}
	ctx, call := withCall(t, callinfo.Call{Face: callinfo.FaceREST})
	ctx = grpc.NewContextWithServerTransportStream(ctx, answered)
	fault := seamerr.NotFound()
	_, err := interceptor.RequestID(ctx, nil, info(), func(ctx context.Context, _ any) (any, error) {
		callinfo.FromContext(ctx).SeamRequestID = "seam-1"
		return nil, fault
	})
	if got := answered.trailer.Get("seam-request-id"); len(got) != 1 || got[0] != "seam-1" {
		t.Errorf("the answer has the ids %q", got)
	}
	if e := asError(t, err); e.RequestID != "seam-1" || e.GRPCCode() != codes.NotFound {
		t.Errorf("error is %+v", e)
	}
	if fault.RequestID != "" {
		t.Error("the handler's error was written to; it may be shared")
	}
	if call.Face != callinfo.FaceREST || call.RequestID == "" || call.RequestID == "seam-1" {
		t.Errorf("call is %+v; want the face's own record with an id of our own", call)
	}
}

func TestRequestIDKeepsTheErrorsOwn(t *testing.T) {
	fault := seamerr.NotFound()
	fault.RequestID = "in-the-body"
	_, err := interceptor.RequestID(t.Context(), nil, info(), answer(nil, fault))
	if e := asError(t, err); e.RequestID != "in-the-body" {
		t.Errorf("id is %q", e.RequestID)
	}
}

func TestRequestIDOfAnswer(t *testing.T) {
	got, err := interceptor.RequestID(t.Context(), nil, info(), answer("answer", nil))
	if got != "answer" || err != nil {
		t.Errorf("answer %v, error %v", got, err)
	}
}
