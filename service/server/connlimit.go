package server

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// minConnections is the minimum limit on connections of a face, however few calls may be in flight: most connections
// are idle.
const minConnections = 1024

// limitListener limits the connections of a face, and with them their memory and file descriptors. A connection over
// the limit is accepted and closed, so that the client, or its load balancer, can go elsewhere at once. One that is not
// accepted would wait until its client times out.
type limitListener struct {
	net.Listener

	limit   int64
	open    atomic.Int64
	refused prometheus.Counter
	close   func() error
}

// openConnections returns the number of open connections.
func (l *limitListener) openConnections() float64 { return float64(l.open.Load()) }

// newLimitListener limits the connections of a face with at most maxInFlight calls in flight: over HTTP/1.1 each call
// in flight has a connection, and as many again may be idle.
func newLimitListener(listener net.Listener, maxInFlight int, refused prometheus.Counter) *limitListener {
	return &limitListener{
		Listener: listener,
		limit:    int64(max(minConnections, 2*maxInFlight)),
		refused:  refused,
		close:    sync.OnceValue(listener.Close),
	}
}

// Close closes the listener. The drain and the server both call it, and the second call is no error.
func (l *limitListener) Close() error { return l.close() }

// Accept returns the next connection within the limit.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		connection, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.limit {
			return &limitedConn{Conn: connection, close: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
		}
		l.open.Add(-1)
		l.refused.Inc()
		_ = connection.Close()
	}
}

// limitedConn is no longer counted once it is closed.
type limitedConn struct {
	net.Conn

	close func()
}

// CloseWrite closes the writing side. net/http calls it before it closes a connection with unread data: else the kernel
// resets the connection, and the response in transit is lost.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *limitedConn) Close() error {
	c.close()
	return c.Conn.Close()
}
