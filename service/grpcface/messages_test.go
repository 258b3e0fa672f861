package grpcface_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/call"
)

// TestMessages shows how the message of a call is read, off grpc-go's transport stream, which is not part of grpc-go's
// stable API: with a grpc-go that has changed it, no call succeeds. What cannot be read is refused with details.
func TestMessages(t *testing.T) {
	unknown := &grantRequest{}
	unknown.ProtoReflect().SetUnknown([]byte{0x0a, 0x01, 0xff}) // A text that is not UTF-8.
	sized := func(bytes int) *grantRequest {
		return &grantRequest{ClientSessionId: new(strings.Repeat("a", bytes-4))} // Its tag and its length take four.
	}
	const undecodable, tooLarge = "Request message could not be decoded", "Request body is larger than 128 KiB"
	for name, c := range map[string]struct {
		messages []*grantRequest
		code     codes.Code
		text     string
	}{
		"one":                 {[]*grantRequest{grantByID()}, codes.OK, ""},
		"the largest":         {[]*grantRequest{sized(call.MaxRequestBytes)}, codes.OK, ""},
		"a larger one":        {[]*grantRequest{sized(call.MaxRequestBytes + 1)}, codes.ResourceExhausted, tooLarge},
		"an empty one":        {[]*grantRequest{{}}, codes.InvalidArgument, "At least one parameter must be provided"},
		"none":                {nil, codes.InvalidArgument, undecodable},
		"two":                 {[]*grantRequest{grantByID(), grantByID()}, codes.InvalidArgument, undecodable},
		"one of another type": {[]*grantRequest{unknown}, codes.InvalidArgument, undecodable},
	} {
		t.Run(name, func(t *testing.T) {
			var got *grantRequest
			h := start(t, func(_ context.Context, in *grantRequest) (*grantResponse, error) {
				got = in
				return &grantResponse{}, nil
			})
			stream, err := h.conn.NewStream(authorized(t), &grpc.StreamDesc{ClientStreams: true}, grantMethod)
			if err != nil {
				t.Fatal(err)
			}
			for _, message := range c.messages {
				_ = stream.SendMsg(message) // The call may have been refused by now.
			}
			_ = stream.CloseSend()
			err = stream.RecvMsg(&grantResponse{})
			st := status.Convert(err)
			if st.Code() != c.code || st.Message() != c.text || (len(st.Details()) > 0) != (err != nil) {
				t.Errorf("got %v", st.Proto())
			}
			if err == nil && !proto.Equal(got, c.messages[0]) {
				t.Errorf("the handler got %d bytes, want %d", proto.Size(got), proto.Size(c.messages[0]))
			}
		})
	}
}

// TestLongResponse shows that a response of more than 4 MiB, which gRPC takes by default, comes through. A client has
// to allow for it.
func TestLongResponse(t *testing.T) {
	want := &grantResponse{ClientSession: &clientsessionv1.ClientSession{Token: strings.Repeat("t", 5<<20)}}
	got, err := start(t, answering(want, nil)).
		GrantAccess(authorized(t), grantByID(), grpc.MaxCallRecvMsgSize(16<<20))
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("got %d bytes, %v", proto.Size(got), err)
	}
}

// TestCompressionIsRefused shows that no call or stream takes compressed messages, although a library has registered
// gzip with grpc-go: some kilobytes of it decompress to gigabytes.
func TestCompressionIsRefused(t *testing.T) {
	const message = "Compression of messages is not supported"
	h := start(t, answering(&grantResponse{}, nil))
	methods := []string{
		grantMethod, healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName,
		reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName,
	}
	for _, method := range methods {
		err := h.conn.Invoke(authorized(t), method, grantByID(), &grantResponse{}, grpc.UseCompressor(gzip.Name))
		if status.Code(err) != codes.Unimplemented || status.Convert(err).Message() != message {
			t.Errorf("%s gets %v", method, err)
		}
	}
	h.stop()
	if lines := strings.Count(h.log.String(), `"msg":"call"`); lines != len(methods) {
		t.Errorf("%d calls are in the log: %s", lines, &h.log)
	}
}
