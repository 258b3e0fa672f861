package seam

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// The protocols of connections, by the names of ALPN. Unknown is that of a connection without a request as yet.
const (
	protocolUnknown = "unknown"
	protocolHTTP1   = "http/1.1"
	protocolHTTP2   = "h2"
)

// connection is a connection to Seam, under its TLS. It is counted while it is open.
type connection struct {
	net.Conn

	// down is true once nothing more can be read, and lost once an exchange has told of it.
	down, lost atomic.Bool
	// first is done at the first request, which sets isHTTP2.
	first   sync.Once
	isHTTP2 bool

	mu sync.Mutex
	// open is the gauge of the open connections of its protocol, nil once it is closed.
	open prometheus.Gauge
}

// newConnection counts a connection that was opened.
func newConnection(opened net.Conn, open prometheus.Gauge) *connection {
	open.Inc()
	return &connection{Conn: opened, open: open}
}

// count counts the connection in another gauge, or in none any more.
func (c *connection) count(open prometheus.Gauge) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil || c.open == open {
		return
	}
	c.open.Dec()
	if c.open = open; open != nil {
		open.Inc()
	}
}

// SyscallConn gives access to the socket.
func (c *connection) SyscallConn() (syscall.RawConn, error) {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return socket.SyscallConn()
}

func (c *connection) Close() error {
	c.down.Store(true)
	c.count(nil)
	return c.Conn.Close()
}

// Read notes that the connection is lost.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.down.Store(true)
	}
	return n, err
}

// lossIsKnown reports whether an exchange has failed by the loss of its connection, and another one has told of that
// loss before: all exchanges in flight on a connection end with it, which is one failure of Seam and not as many.
func (x *exchange) lossIsKnown() bool {
	connection := x.connection.Load()
	lost := connection != nil && (x.err != nil && isConnectionLoss(x.err) || x.bodyErr != nil && connection.down.Load())
	return lost && !connection.lost.CompareAndSwap(false, true)
}

// isConnectionLoss reports whether an exchange without a response has failed because its connection was lost. An error
// of one HTTP/2 stream says nothing of the connection. Two of the losses are known by the text of their error only.
func isConnectionLoss(err error) bool {
	if _, ok := errors.AsType[*net.OpError](err); ok {
		return true
	}
	text := err.Error()
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.HasPrefix(text, "http2: client connection lost") || strings.HasPrefix(text, "http2: server sent GOAWAY")
}

func isWriteError(err error) bool {
	opError, ok := errors.AsType[*net.OpError](err)
	return ok && opError.Op == "write"
}
