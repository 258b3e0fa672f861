package server

import (
	"container/list"
	"net"
	"sync"

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
	open int
	// unused and idle have a *limitedConn for each connection without a call: those that never had one, and the others.
	unused, idle list.List
}

// newLimitListener limits the connections of a face with at most maxInFlight calls in flight: over HTTP/1.1 each call
// in flight has a connection, and as many again may be idle.
func newLimitListener(listener net.Listener, maxInFlight int, refused prometheus.Counter) *limitListener {
	return &limitListener{
		Listener: listener,
		limit:    max(minConnections, 2*maxInFlight),
		refused:  refused,
		close:    sync.OnceValue(listener.Close),
	}
}

// openConnections returns the number of open connections.
func (l *limitListener) openConnections() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.open)
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
		connection := &limitedConn{Conn: accepted, listener: l}
		evicted, ok := l.add(connection)
		if evicted != nil || !ok {
			l.refused.Inc()
		}
		if evicted != nil {
			_ = evicted.Close()
		}
		if ok {
			return connection, nil
		}
		_ = accepted.Close()
	}
}

// add adds a connection. At the limit it returns the one that has to make room for it, if there is one.
func (l *limitListener) add(connection *limitedConn) (evicted *limitedConn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.limit {
		for _, candidates := range []*list.List{&l.unused, &l.idle} {
			if evicted == nil && candidates.Len() > 0 {
				evicted, _ = candidates.Front().Value.(*limitedConn)
			}
		}
		if evicted == nil {
			return nil, false
		}
		evicted.remove()
	}
	l.open++
	connection.place, connection.within = l.unused.PushBack(connection), &l.unused
	return evicted, true
}

// limitedConn is a connection within the limit. It is no longer counted once it is closed.
type limitedConn struct {
	net.Conn

	listener *limitListener
	// The fields below are the listener's. place is nil while the connection has a call, and once it is closed.
	place  *list.Element
	within *list.List
	calls  int
	closed bool
}

// remove removes the connection from those that are open.
func (c *limitedConn) remove() {
	if !c.closed {
		c.closed = true
		c.listener.open--
		c.unlist()
	}
}

func (c *limitedConn) unlist() {
	if c.place != nil {
		c.within.Remove(c.place)
		c.place = nil
	}
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
	c.remove()
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
func (a peerAddress) BeginCall() {
	c := a.connection
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.calls++
	c.unlist()
}

// EndCall implements call.Connection.
func (a peerAddress) EndCall() {
	c := a.connection
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	if c.calls--; c.calls == 0 && !c.closed {
		c.place, c.within = c.listener.idle.PushBack(c), &c.listener.idle
	}
}

// Close implements call.Connection.
func (a peerAddress) Close() error { return a.connection.Close() }
