package grpcface

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// streamCall is the call of a streaming method, whose messages grpc-go reads.
type streamCall struct {
	call.Face // Nothing of it is used but Respond.

	stream grpc.ServerStream
	run    func(stream grpc.ServerStream) error
}

// Respond implements call.Face. The first message has to arrive in the time of a request.
func (s streamCall) Respond(ctx context.Context, _ func(context.Context) (proto.Message, error)) error {
	if t, ok := grpc.ServerTransportStreamFromContext(ctx).(compressedStream); !ok || isCompressed(t) {
		return seamerr.Unsupported("Compression of messages")
	}
	timeout := time.AfterFunc(call.RequestReadTimeout, call.FromContext(ctx).Cancel)
	stream := &timedStream{ServerStream: s.stream, timeout: timeout}
	err := s.run(stream)
	if !stream.begun && !timeout.Stop() {
		return seamerr.RequestTimeout(errors.New("the first message of the stream did not arrive in time"))
	}
	return err
}

// timedStream stops the timeout once the first message has been received.
type timedStream struct {
	grpc.ServerStream

	timeout *time.Timer
	begun   bool
}

// RecvMsg implements grpc.ServerStream.
func (s *timedStream) RecvMsg(message any) error {
	err := s.ServerStream.RecvMsg(message)
	if err == nil && !s.begun {
		s.begun = s.timeout.Stop()
	}
	return err
}

// compressedStream is a stream that knows the grpc-encoding of its request.
type compressedStream interface{ RecvCompress() string }

// isCompressed says whether a request may be compressed. grpc-go refuses only encodings that no library of the process
// has registered, and the exporters of spans register gzip: few bytes of it would decompress to many.
func isCompressed(stream compressedStream) bool {
	encoding := stream.RecvCompress()
	return encoding != "" && encoding != "identity"
}
