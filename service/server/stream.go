package server

import (
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// streamGrace is how long the streams of a server that drains go on: long enough for those who watch its health to
// hear of it.
const streamGrace = 200 * time.Millisecond

// endStreams ends the streams when the server drains. They are those of the health and reflection services, have no end
// of their own, and anybody may open one: a drain that waited for them would wait for ever.
func (s *Server) endStreams(
	service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler,
) error {
	// The handler may be waiting for its caller, where nothing of ours reaches it. When this returns, grpc-go ends the
	// stream, and with it the wait.
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if value := recover(); value != nil {
				ended <- s.caught(stream.Context(), info.FullMethod, value)
			}
		}()
		ended <- handler(service, stream)
	}()
	select {
	case err := <-ended:
		return err
	case <-s.draining.Done():
		return status.Error(codes.Unavailable, "the server is draining")
	}
}

// onLoopback says whether an address is one that only this machine reaches.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
