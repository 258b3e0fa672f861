package server

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// minConnections is how many connections a face takes at least, however few calls may be in flight: most connections of
// most callers are idle.
const minConnections = 1024

// limitListener bounds how many connections a face has, and with that the memory and the descriptors that they cost. A
// connection too many is accepted and closed: the caller, or its load balancer, learns of it at once and can go
// elsewhere, while one that is not accepted waits until its caller gives up.
type limitListener struct {
	net.Listener

	limit   int64
	open    atomic.Int64
	refused prometheus.Counter
	close   func() error
}

// openConnections returns how many connections there are.
func (l *limitListener) openConnections() float64 { return float64(l.open.Load()) }

// newLimitListener bounds the connections to a face that works on at most maxInFlight calls: over HTTP/1.1 each call in
// flight has a connection, and as many again may be idle.
func newLimitListener(listener net.Listener, maxInFlight int, refused prometheus.Counter) *limitListener {
	return &limitListener{
		Listener: listener,
		limit:    int64(max(minConnections, 2*maxInFlight)),
		refused:  refused,
		close:    sync.OnceValue(listener.Close),
	}
}

// Close closes the listener. The drain does so before the server that has it, for which that is no error.
func (l *limitListener) Close() error { return l.close() }

// Accept returns the next connection that there is room for.
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

// limitedConn gives its place back when it is closed.
type limitedConn struct {
	net.Conn

	close func()
}

// CloseWrite ends what is written and not what is read. net/http does so before it closes a connection on which there
// is more to read: closed at once, the kernel resets it, and the response on the way is lost.
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
