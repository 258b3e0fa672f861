package server

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// minConnections is the minimum limit on connections of a face, however few calls may be in flight: most connections
// are idle.
const minConnections = 1024

// limitListener limits the connections of a face, and with them their memory and file descriptors. At the limit, the
// oldest connection without a call makes room for a new one, so that idle connections cannot keep clients out. Those
// that never had a call of an authenticated caller come first, then the one that has been idle for longest.
type limitListener struct {
	net.Listener

	limit   int
	refused prometheus.Counter
	close   func() error

	mu   sync.Mutex
	open map[*limitedConn]struct{}
}

// newLimitListener limits the connections of a face with at most maxInFlight calls in flight: over HTTP/1.1 each call
// in flight has a connection, and as many again may be idle.
func newLimitListener(listener net.Listener, maxInFlight int, refused prometheus.Counter) *limitListener {
	return &limitListener{
		Listener: listener,
		limit:    max(minConnections, 2*maxInFlight),
		refused:  refused,
		close:    sync.OnceValue(listener.Close),
		open:     map[*limitedConn]struct{}{},
	}
}

// openConnections returns the number of open connections.
func (l *limitListener) openConnections() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(len(l.open))
}

// Close closes the listener. The drain and the server both call it, and the second call is no error.
func (l *limitListener) Close() error { return l.close() }

// Accept returns the next connection. One for which there is no room is accepted and closed, so that the client, or its
// load balancer, can go elsewhere at once: a connection that is not accepted would wait until its client times out.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		connection := &limitedConn{Conn: accepted, listener: l, accepted: time.Now().UnixNano()}
		if closed := l.add(connection); closed != nil {
			l.refused.Inc()
			_ = closed.Conn.Close()
			if closed == connection {
				continue
			}
		}
		return connection, nil
	}
}

// add adds a connection. At the limit it returns the connection that has to be closed: the new one if all others have
// calls.
func (l *limitListener) add(connection *limitedConn) (closed *limitedConn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.limit {
		for candidate := range l.open {
			if candidate.calls.Load() == 0 && (closed == nil || candidate.makesRoomBefore(closed)) {
				closed = candidate
			}
		}
		if closed == nil {
			return connection
		}
		delete(l.open, closed)
	}
	l.open[connection] = struct{}{}
	return closed
}

// limitedConn is a connection within the limit. It is no longer counted once it is closed.
type limitedConn struct {
	net.Conn

	listener *limitListener
	accepted int64
	// calls is how many calls are on the connection, and idleSince when the last one ended, 0 before the first. Times are
	// in nanoseconds.
	calls, idleSince atomic.Int64
}

// makesRoomBefore reports whether the connection makes room for a new one before another does.
func (c *limitedConn) makesRoomBefore(other *limitedConn) bool {
	mine, its := c.idleSince.Load(), other.idleSince.Load()
	if mine == 0 && its == 0 {
		return c.accepted < other.accepted
	}
	return mine < its
}

// CloseWrite closes the writing side. net/http calls it before it closes a connection with unread data: else the kernel
// resets the connection, and the response in transit is lost.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// RemoteAddr implements net.Conn. The address leads a call to its connection: it is all that both faces know of it.
func (c *limitedConn) RemoteAddr() net.Addr { return peerAddress{c.Conn.RemoteAddr(), c} }

// peerAddress implements call.Connection.
type peerAddress struct {
	net.Addr

	connection *limitedConn
}

// BeginCall implements call.Connection.
func (a peerAddress) BeginCall() { a.connection.calls.Add(1) }

// EndCall implements call.Connection.
func (a peerAddress) EndCall() {
	a.connection.idleSince.Store(time.Now().UnixNano())
	a.connection.calls.Add(-1)
}

// Close implements call.Connection.
func (a peerAddress) Close() error { return a.connection.Close() }
