package grpcface

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// smallResponse is the length of a response for which no call waits: the response of any RPC but List. To wait would
	// write the status in a packet of its own.
	smallResponse = 4 << 10
	// resetTime is how long after the deadline of a call grpc-go may take to reset the stream of a response that its
	// client does not read. It does so only for a deadline of the client's own.
	resetTime = time.Second
	// WriteTimeout is how long a client may leave what is written to its connection unread. grpc-go queues without bound
	// for a connection that it cannot write to, also what streams have left that are reset. The listener sets it.
	WriteTimeout = 5 * time.Second
)

// write writes the response, and returns once the bytes of a long one have left: until then they are in memory, and the
// call holds what it holds. grpc-go by itself returns when it has queued them, however slowly the client reads.
func (u *unaryCall) write(ctx context.Context, message proto.Message) error {
	response := &response{message: message}
	if err := u.stream.SendMsg(response); err != nil {
		return err //nolint:wrapcheck // It is a status.
	}
	if response.written == nil {
		return nil
	}
	select {
	case <-response.written:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-response.written:
		return nil
	case <-u.call.Gone():
		// The stream is reset, and its bytes may still be in the queue of the connection.
		await(response.written, WriteTimeout+resetTime)
	case <-time.After(resetTime):
		// grpc-go has no other way to end the stream and to free its memory.
		if connection, ok := u.call.Peer.Addr.(call.Connection); ok {
			_ = connection.Close()
		}
	}
	return seamerr.Canceled(errors.New("the response was not read in time"))
}

// await waits until something has been written, but no longer than a time: grpc-go does not tell of each.
func await(written <-chan struct{}, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-written:
	case <-timer.C:
	}
}

// response is a response that tells when it has been written, unless it is small. It is the pool of its own bytes,
// since grpc-go returns them to their pool when they have left.
type response struct {
	message proto.Message
	// written is closed when the bytes have left. It is nil for a small response.
	written chan struct{}
}

// Get implements mem.BufferPool. grpc-go does not call it.
func (*response) Get(length int) *[]byte { return new(make([]byte, length)) }

// Put implements mem.BufferPool.
func (r *response) Put(*[]byte) { close(r.written) }

// codec is the codec of protobuf, and encodes a response for write.
type codec struct{ encoding.CodecV2 }

// Marshal implements encoding.CodecV2.
func (c codec) Marshal(value any) (mem.BufferSlice, error) {
	r, ok := value.(*response)
	if !ok {
		return c.CodecV2.Marshal(value) //nolint:wrapcheck // It is grpc-go's.
	}
	data, err := proto.Marshal(r.message)
	if err != nil {
		return nil, fmt.Errorf("encode the response: %w", err)
	}
	if len(data) <= smallResponse {
		return mem.BufferSlice{mem.SliceBuffer(data)}, nil
	}
	r.message, r.written = nil, make(chan struct{}) // The message is garbage while its bytes are written.
	return mem.BufferSlice{mem.NewBuffer(&data, r)}, nil
}
