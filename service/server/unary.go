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
// and refuses an unreadable one by itself. Served as a stream, the chain runs first, on the headers alone, and its step
// Receive reads the message: a refused call costs no memory for it, and every refusal is logged and counted and has its
// details.
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
				ctx := stream.Context()
				call := callinfo.FromContext(ctx)
				call.Request = newUnaryRequest(ctx, call.Cancel)
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

// tapStream gets the headers of each stream first. It begins the record of the call, refuses the paths that grpc-go
// would refuse by itself, and makes the reads of the calls cancelable.
func (f *grpcFace) tapStream(ctx context.Context, info *tap.Info) (context.Context, error) {
	call := &callinfo.Call{Face: callinfo.FaceGRPC, Metadata: info.Header}
	ctx = callinfo.NewContext(ctx, call)
	if path, rooted := strings.CutPrefix(info.FullMethodName, "/"); !rooted || !strings.Contains(path, "/") {
		return nil, f.refuseUnknown(ctx)
	}
	if f.names[info.FullMethodName] {
		return ctx, nil
	}
	return interceptor.WithDeadline(ctx, call, f.defaultTimeout, f.maxTimeout), nil
}

// messageReader is the reading half of grpc-go's transport stream. It is not part of grpc-go's stable API, but the only
// way to read the length of a message before it is in memory, and to refuse a message that is too large or arrives too
// slowly with details: after an error of ServerStream.RecvMsg the status has already been sent.
type messageReader interface {
	compressedStream
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
}

// unaryRequest is the request of a unary call over gRPC.
type unaryRequest struct {
	stream messageReader
	cut    context.CancelFunc
	// header is the prefix of the message on the wire. begun is true when it has been read, and left is then how much of
	// the message has not.
	header [messageHeaderBytes]byte
	begun  bool
	left   int
}

func newUnaryRequest(ctx context.Context, cut context.CancelFunc) *unaryRequest {
	stream, _ := grpc.ServerTransportStreamFromContext(ctx).(messageReader)
	return &unaryRequest{stream: stream, cut: cut}
}

// Cut makes a waiting Read fail.
func (r *unaryRequest) Cut() { r.cut() }

// messageHeaderBytes is the length of the prefix of each message: a compressed flag and the length.
const messageHeaderBytes = 5

// Read reads the next part of the message. It copies the bytes, so that a message in frames of one byte each takes no
// more memory than any other.
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
			return 0, seamerr.InvalidMessage(errors.New("more than one message was sent"))
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

// begin reads the prefix of the message.
func (r *unaryRequest) begin() error {
	if r.stream == nil || r.cut == nil {
		return seamerr.Internal(errors.New("grpc-go's stream cannot be read"))
	}
	if err := r.stream.ReadMessageHeader(r.header[:]); err != nil {
		return readError(err)
	}
	if r.header[0] != 0 || isCompressed(r.stream) {
		return seamerr.Unsupported("Compression of messages")
	}
	length := binary.BigEndian.Uint32(r.header[1:])
	if length > interceptor.MaxRequestBytes {
		return seamerr.PayloadTooLarge(interceptor.MaxRequestBytes)
	}
	r.begun, r.left = true, int(length)
	return nil
}

// Decode decodes the message. The decoder's error is dropped, since it does not say what is wrong.
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

// compressedStream is a stream that knows the grpc-encoding of its request.
type compressedStream interface{ RecvCompress() string }

// isCompressed says whether a request may be compressed. grpc-go refuses only encodings that no library of the process
// has registered, and the exporters of spans register gzip: few bytes of it would decompress to many.
func isCompressed(stream compressedStream) bool {
	encoding := stream.RecvCompress()
	return encoding != "" && encoding != "identity"
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
