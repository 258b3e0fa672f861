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

// unusedShare is which part of the connections may be without any call so far before they make room first: one in so
// many.
const unusedShare = 8

// limitListener limits the connections of a face, and with them their memory and file descriptors. At the limit, the
// oldest connection without a call makes room for a new one, so that idle connections cannot keep clients out. As long
// as there are many that never had a call of an authenticated caller, it is one of these, else the one that has been
// idle for longest.
type limitListener struct {
	net.Listener

	limit int
	// writeTimeout is how long the peer of a connection may leave what is written to it unread, 0 for any time.
	writeTimeout time.Duration
	refused      prometheus.Counter
	close        func() error

	mu   sync.Mutex
	open map[*limitedConn]struct{}
}

// newLimitListener limits the connections of a face with at most maxInFlight calls in flight: over HTTP/1.1 each call
// in flight has a connection, and as many again may be idle.
func newLimitListener(
	listener net.Listener, maxInFlight int, writeTimeout time.Duration, refused prometheus.Counter,
) *limitListener {
	return &limitListener{
		Listener:     listener,
		limit:        max(minConnections, 2*maxInFlight),
		writeTimeout: writeTimeout,
		refused:      refused,
		close:        sync.OnceValue(listener.Close),
		open:         map[*limitedConn]struct{}{},
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
		if closed = l.candidate(); closed == nil {
			return connection
		}
		delete(l.open, closed)
	}
	l.open[connection] = struct{}{}
	return closed
}

// candidate returns the connection that makes room for a new one, nil if all have calls.
func (l *limitListener) candidate() *limitedConn {
	var oldest, longestIdle *limitedConn
	unused := 0
	for c := range l.open {
		switch since := c.idleSince.Load(); {
		case c.calls.Load() > 0:
		case since == 0:
			if unused++; oldest == nil || c.accepted < oldest.accepted {
				oldest = c
			}
		case longestIdle == nil || since < longestIdle.idleSince.Load():
			longestIdle = c
		}
	}
	// New connections have some room of their own, so that a burst of them does not close its own.
	if oldest != nil && (unused > l.limit/unusedShare || longestIdle == nil) {
		return oldest
	}
	return longestIdle
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

// Write implements net.Conn.
func (c *limitedConn) Write(p []byte) (int, error) {
	if c.listener.writeTimeout > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(c.listener.writeTimeout)) // It fails for a closed connection only.
	}
	return c.Conn.Write(p)
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
