package seam

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"
)

// http1 is the client of HTTP/1.1 without TLS: a connection pool whose requests are written and whose responses are
// read on the goroutine of the call, the responses by net/http's own reader. net/http's transport has two goroutines
// for each connection, and the changes between them are a tenth of the CPU of a call and a quarter of the memory of one
// that waits. The price is that a response is not read before its request is written, so longer requests
// go through the transport.
type http1 struct {
	dial    func(ctx context.Context) (net.Conn, error)
	head    http1Head
	maxIdle int

	mu   sync.Mutex
	idle []*http1Connection // The one that was used last is the last.
	// closed is true when no connection may become idle any more.
	closed bool
	// expiry is the next check of the idle connections, nil while none is idle.
	expiry *time.Timer
}

const (
	// maxDirectBody is the longest body that is written before anything is read: it always fits into the kernel's send
	// buffer, so no peer that responds early or does not read can hold up the write.
	maxDirectBody = 8 << 10
	// idleTimeout is under the 60 seconds after which common load balancers close an idle connection, so that it is
	// closed here first and no request meets a closed one.
	idleTimeout = 55 * time.Second
	// expireEvery is how often the idle connections are checked, beside the check of the one that a request takes. A
	// thousand take less than a millisecond.
	expireEvery = 100 * time.Millisecond
	// connectionBuffer is the size of both buffers of a connection. A call in flight has a connection, and the requests
	// and responses of nearly all calls fit in.
	connectionBuffer = 2 << 10
	// maxResponseHeader bounds the headers of a response in bytes, with those of interim responses (1xx).
	maxResponseHeader = 64 << 10
)

// http1Connection is a connection that has one request at a time.
type http1Connection struct {
	net.Conn

	raw    syscall.RawConn
	reader *bufio.Reader
	writer *bufio.Writer
	// left is how many bytes may still be read of the headers, and used when the connection was used last.
	left int64
	used time.Time
}

var errHeaderTooLong = errors.New("the response header is longer than the limit")

// Read fails when the headers are longer than they may be.
func (c *http1Connection) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errHeaderTooLong
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// isIdle reports whether the connection can have another request, and sets the deadline of that one. The deadline of
// the request before may be over, and the check would fail by it.
func (c *http1Connection) isIdle(deadline time.Time) bool {
	return c.SetDeadline(deadline) == nil && time.Since(c.used) < idleTimeout && isIdle(c.raw)
}

// roundTrip sends a request, which ends with ctx and at the deadline unless that is zero. sent is true when the peer
// may have received the whole request. The response's body has to be closed.
func (h *http1) roundTrip(
	ctx context.Context, deadline time.Time, request *http1Request,
) (response *http.Response, sent bool, err error) {
	connection, err := h.take(ctx, deadline)
	if err != nil {
		return nil, false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	err = h.head.write(connection.writer, request)
	if sent = err == nil; sent {
		response, err = connection.response()
	}
	if err != nil {
		stop()
		_ = connection.Close()
		return nil, sent, err
	}
	response.Body = &http1Body{body: response.Body, keep: !response.Close, stop: stop, connection: connection, pool: h}
	return response, sent, nil
}

// response reads the header of a response, to a method whose responses can have a body. Interim responses are skipped,
// but for one that switches protocols.
func (c *http1Connection) response() (*http.Response, error) {
	for c.left = maxResponseHeader; ; {
		response, err := http.ReadResponse(c.reader, nil)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			c.left = math.MaxInt64
			return response, nil
		}
	}
}

// http1Body is the body of a response. When it is closed, its connection becomes idle, or is closed where the response
// has not ended.
type http1Body struct {
	body       io.Reader
	ended      bool
	keep       bool
	stop       func() bool
	connection *http1Connection
	pool       *http1
}

func (b *http1Body) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.ended = b.ended || err == io.EOF
	return n, err
}

// Close does not close the body that net/http made: that would read it to its end, which may never come.
func (b *http1Body) Close() error {
	running := b.stop() // False when the call has been canceled: then the connection is closed, or will be.
	if !running || !b.ended || !b.keep || b.connection.reader.Buffered() > 0 {
		return b.connection.Close()
	}
	return b.pool.put(b.connection)
}

// take returns an idle connection, or a new one, with the deadline.
func (h *http1) take(ctx context.Context, deadline time.Time) (*http1Connection, error) {
	for connection := h.pop(); connection != nil; connection = h.pop() {
		if connection.isIdle(deadline) {
			return connection, nil
		}
		_ = connection.Close()
	}
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	dialed, err := h.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &http1Connection{Conn: dialed}
	if socket, ok := dialed.(syscall.Conn); ok {
		c.raw, _ = socket.SyscallConn()
	}
	c.reader, c.writer = bufio.NewReaderSize(c, connectionBuffer), bufio.NewWriterSize(c, connectionBuffer)
	_ = c.SetDeadline(deadline) // It fails on a closed connection only, on which the write fails too.
	return c, nil
}

func (h *http1) pop() *http1Connection {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.idle) - 1
	if last < 0 {
		return nil
	}
	connection := h.idle[last]
	h.idle[last] = nil
	h.idle = h.idle[:last]
	return connection
}

// put makes a connection idle.
func (h *http1) put(connection *http1Connection) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.idle) >= h.maxIdle {
		return connection.Close()
	}
	connection.used = time.Now()
	h.idle = append(h.idle, connection)
	if h.expiry == nil {
		h.expiry = time.AfterFunc(expireEvery, h.expire)
	}
	return nil
}

// expire closes the connections that have been idle for too long or that the peer has closed, and comes back as long as
// any is idle.
func (h *http1) expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.idle = slices.DeleteFunc(h.idle, func(c *http1Connection) bool {
		over := !c.isIdle(time.Time{})
		if over {
			_ = c.Close()
		}
		return over
	})
	h.expiry = nil
	if len(h.idle) > 0 {
		h.expiry = time.AfterFunc(expireEvery, h.expire)
	}
}

// close closes the idle connections, and those of requests in flight when these have ended.
func (h *http1) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, connection := range h.idle {
		_ = connection.Close()
	}
	h.idle = nil
	if h.expiry != nil {
		h.expiry.Stop()
	}
}
