package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// unaryAsStreams returns a copy of the description in which the unary methods are served as streams of one message each
// way, which is what they are on the wire. grpc-go reads the request of a unary method before it runs any interceptor,
// and answers by itself one that cannot be read. Served so, the chain runs first, on the headers alone, and its step
// Receive reads the message: a caller that is refused has cost no memory for it, and every refusal has its line in the
// log, its count and its details.
func (f *grpcFace) unaryAsStreams(description *grpc.ServiceDesc, methods []interceptor.Method) *grpc.ServiceDesc {
	served := *description
	served.Methods = nil
	served.Streams = append([]grpc.StreamDesc(nil), description.Streams...)
	for _, method := range methods {
		served.Streams = append(served.Streams, grpc.StreamDesc{
			StreamName: path.Base(method.FullMethod),
			Handler: func(_ any, stream grpc.ServerStream) error {
				f.open.Inc()
				defer f.open.Dec()
				ctx, call := callinfo.Begin(stream.Context())
				call.Request = newUnaryRequest(ctx)
				response, err := method.Call(ctx, method.NewRequest())
				if err != nil {
					return err
				}
				return stream.SendMsg(response)
			},
		})
	}
	return &served
}

// cutKey is where tapStream keeps what ends the reads of a stream.
type cutKey struct{}

// tapStream sees the headers of each stream before anything else does. It refuses the paths that grpc-go would answer
// by itself, and makes the reads of the others such that they can be cut off.
func (f *grpcFace) tapStream(ctx context.Context, info *tap.Info) (context.Context, error) {
	if path, rooted := strings.CutPrefix(info.FullMethodName, "/"); !rooted || !strings.Contains(path, "/") {
		return nil, f.refuseUnknown(ctx)
	}
	ctx, cut := context.WithCancel(ctx)
	return context.WithValue(ctx, cutKey{}, cut), nil
}

// messageReader is the reading half of grpc-go's transport stream. It is not part of grpc-go's promises, but the only
// way to learn the length of a message before it is in memory, and to answer a message that is too long, or comes too
// slowly, with details: after any error of ServerStream.RecvMsg the status has been sent already.
type messageReader interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
}

// unaryRequest is the request of a unary call over gRPC.
type unaryRequest struct {
	stream messageReader
	cut    context.CancelFunc
	// header is what stands before the message on the wire; begun is true when it has been read, and left is then how
	// much of the message has not.
	header [messageHeaderBytes]byte
	begun  bool
	left   int
}

func newUnaryRequest(ctx context.Context) *unaryRequest {
	stream, _ := grpc.ServerTransportStreamFromContext(ctx).(messageReader)
	cut, _ := ctx.Value(cutKey{}).(context.CancelFunc)
	return &unaryRequest{stream: stream, cut: cut}
}

// Cut makes a Read that waits end.
func (r *unaryRequest) Cut() { r.cut() }

// messageHeaderBytes is the length of what stands before each message: whether it is compressed, and its length.
const messageHeaderBytes = 5

// Read reads the next part of the message. What it returns is a copy, so that a message in frames of one byte each
// takes no more memory than any other.
func (r *unaryRequest) Read(p []byte) (int, error) {
	if !r.begun {
		if err := r.begin(); err != nil {
			return 0, err
		}
	}
	if r.left == 0 {
		switch err := r.stream.ReadMessageHeader(r.header[:]); {
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		case err != nil:
			return 0, readError(err)
		default:
			return 0, seamerr.InvalidMessage(errors.New("there is more than one message"))
		}
	}
	piece, err := r.stream.Read(min(r.left, len(p)))
	if err != nil {
		return 0, readError(err)
	}
	defer piece.Free()
	n := piece.CopyTo(p)
	r.left -= n
	return n, nil
}

// begin reads what stands before the message.
func (r *unaryRequest) begin() error {
	if r.stream == nil || r.cut == nil {
		return seamerr.Internal(errors.New("grpc-go's stream cannot be read"))
	}
	if err := r.stream.ReadMessageHeader(r.header[:]); err != nil {
		return readError(err)
	}
	if r.header[0] != 0 {
		return seamerr.Unsupported("Compression of messages")
	}
	length := binary.BigEndian.Uint32(r.header[1:])
	if length > interceptor.MaxRequestBytes {
		return seamerr.PayloadTooLarge(interceptor.MaxRequestBytes)
	}
	r.begun, r.left = true, int(length)
	return nil
}

// Decode decodes the message. The error of the decoder says where and not what, and nobody needs to know.
func (r *unaryRequest) Decode(_ *callinfo.Call, body []byte, message any) *seamerr.Error {
	target, ok := message.(proto.Message)
	if !ok {
		return seamerr.Internal(fmt.Errorf("request of type %T is no message", message))
	}
	if err := proto.Unmarshal(body, target); err != nil {
		return seamerr.InvalidMessage(errors.New("not a message of the contract"))
	}
	return nil
}

// readError is the error of a message that did not come whole.
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
