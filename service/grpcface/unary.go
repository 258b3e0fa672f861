package grpcface

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// register registers a service whose unary methods are served as streams of one message each way, which is what they
// are on the wire. grpc-go reads the request of a unary method before it runs any code of ours, and refuses an
// unreadable request by itself. Served as a stream, the call is served on the headers alone, and Serve reads the
// message: a refused call costs no memory for it, and every refusal is logged and counted and has its details.
func (f *face) register(server *grpc.Server, description *grpc.ServiceDesc, service any, methods ...*call.Method) {
	served := *description
	served.Methods = nil
	served.Streams = append([]grpc.StreamDesc(nil), description.Streams...)
	for _, method := range methods {
		f.methods[method.FullMethod] = method
		served.Streams = append(served.Streams, grpc.StreamDesc{
			StreamName: path.Base(method.FullMethod),
			Handler: func(_ any, stream grpc.ServerStream) error {
				return f.serve(stream.Context(), newUnaryCall(stream))
			},
		})
	}
	server.RegisterService(&served, service)
}

// messageReader is the reading half of grpc-go's transport stream. It is not part of grpc-go's stable API, but the only
// way to read the length of a message before it is in memory, and to refuse a message that is too large or arrives too
// slowly with details: after an error of ServerStream.RecvMsg the status has already been sent.
type messageReader interface {
	compressedStream
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
}

// unaryCall is a unary call.
type unaryCall struct {
	stream grpc.ServerStream
	call   *call.Call
	reader messageReader
	// header is the prefix of the message on the wire. begun is true when it has been read, and left is then how much of
	// the message has not.
	header [messageHeaderBytes]byte
	begun  bool
	left   int
}

func newUnaryCall(stream grpc.ServerStream) *unaryCall {
	ctx := stream.Context()
	reader, _ := grpc.ServerTransportStreamFromContext(ctx).(messageReader)
	return &unaryCall{stream: stream, call: call.FromContext(ctx), reader: reader}
}

// Cut implements call.Face.
func (u *unaryCall) Cut() { u.call.Cancel() }

// Respond implements call.Face.
func (u *unaryCall) Respond(ctx context.Context, handle func(context.Context) (proto.Message, error)) error {
	response, err := handle(ctx)
	if err != nil {
		return err
	}
	_ = grpc.SetHeader(ctx, u.call.ResponseMetadata(nil)) // It fails only outside of a stream.
	return u.write(ctx, response)
}

// messageHeaderBytes is the length of the prefix of each message: a compressed flag and the length.
const messageHeaderBytes = 5

// pieceBytes is how much of a message is read at once. grpc-go keeps some 20 bytes for each frame of a piece, and a
// frame may have one byte.
const pieceBytes = 1 << 10

// Read reads the next part of the message. It copies the bytes, so that a message in frames of one byte each takes no
// more memory than any other.
func (u *unaryCall) Read(p []byte) (int, error) {
	if !u.begun {
		if err := u.begin(); err != nil {
			return 0, err
		}
	}
	if u.left == 0 {
		switch err := u.reader.ReadMessageHeader(u.header[:]); {
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case err != nil:
			return 0, readError(err)
		default:
			return 0, seamerr.InvalidMessage(errors.New("more than one message was sent"))
		}
	}
	piece, err := u.reader.Read(min(u.left, len(p), pieceBytes))
	if err != nil {
		return 0, readError(err)
	}
	defer piece.Free()
	n := piece.CopyTo(p)
	u.left -= n
	return n, nil
}

// begin reads the prefix of the message.
func (u *unaryCall) begin() error {
	if u.reader == nil {
		return seamerr.Internal(errors.New("grpc-go's stream cannot be read"))
	}
	if err := u.reader.ReadMessageHeader(u.header[:]); err != nil {
		return readError(err)
	}
	if u.header[0] != 0 || isCompressed(u.reader) {
		return seamerr.Unsupported("Compression of messages")
	}
	length := binary.BigEndian.Uint32(u.header[1:])
	if length > call.MaxRequestBytes {
		return seamerr.PayloadTooLarge(call.MaxRequestBytes)
	}
	u.begun, u.left = true, int(length)
	return nil
}

// Decode implements call.Face. The decoder's error is dropped, since it does not say what is wrong.
func (u *unaryCall) Decode(body []byte, request proto.Message) *seamerr.Error {
	if err := proto.Unmarshal(body, request); err != nil {
		return seamerr.InvalidMessage(errors.New("not a message of the contract"))
	}
	return nil
}

// readError returns the error of an incomplete message.
func readError(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return seamerr.InvalidMessage(errors.New("the message ended early"))
	case status.Code(err) == codes.DeadlineExceeded:
		return seamerr.RequestTimeout(err)
	default:
		return seamerr.Canceled(err)
	}
}
