package seam

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// deadAfter is when a connection counts as dead because its peer neither acknowledges nor sends anything. The kernel's
// own limit is a quarter of an hour, in which every call on the connection would end at its deadline.
const deadAfter = 10 * time.Second

const (
	// idleTimeout is under the 60 seconds after which common load balancers close an idle connection, so that it is
	// closed here first and no request meets a closed one.
	idleTimeout = 55 * time.Second
	// connectionBuffer is the size of both buffers of a connection over HTTP/1.1. A call in flight has a connection, and
	// the requests and responses of nearly all calls fit in.
	connectionBuffer = 2 << 10
	// maxResponseHeader bounds the headers of a response in bytes, with those of interim responses (1xx).
	maxResponseHeader = 64 << 10
)

// idleAfter is when a connection is certain to be idle after the end of its last call.
const idleAfter = time.Second

// pool is the connection pool for Seam. No call gets a connection that is older than maxAge: the next one is dialled
// with a new DNS lookup, so that a change of Seam's addresses is followed. Calls in flight on an old one are not
// affected.
type pool struct {
	make    func() *generation
	maxAge  time.Duration
	current atomic.Pointer[generation]
	metrics *metrics
	// warnHTTP1 warns, once, that Seam's end does not speak HTTP/2.
	warnHTTP1 func()
}

// generation is the connections of one maxAge.
type generation struct {
	*http.Transport

	born    time.Time
	calls   atomic.Int64
	retired atomic.Bool
}

// newPool returns the pool for the endpoint.
func newPool(config Config, m *metrics) *pool {
	p := &pool{maxAge: config.MaxConnectionAge, metrics: m, warnHTTP1: sync.OnceFunc(func() {
		config.Logger.Warn("Seam's end does not speak HTTP/2: each request in flight has a connection of its own, "+
			"and a stray response on one that is idle can be taken for that of the next request",
			slog.String("host", config.Endpoint.Host))
	})}
	p.make = func() *generation {
		return &generation{Transport: newTransport(config.CAs, config.MaxIdleConnections, m)}
	}
	p.current.Store(p.next())
	return p
}

func (p *pool) next() *generation {
	g := p.make()
	g.born = time.Now()
	return g
}

// take returns the connections for one request. The caller has to release them when the response has been read.
func (p *pool) take() *generation {
	g := p.current.Load()
	if p.maxAge > 0 && time.Since(g.born) > p.maxAge {
		if fresh := p.next(); p.current.CompareAndSwap(g, fresh) {
			g.retired.Store(true)
			g.CloseIdleConnections()
			g = fresh
		} else {
			g = p.current.Load() // Another call was faster.
		}
	}
	g.calls.Add(1)
	return g
}

// used returns the connection on which net/http sends a request, nil if it is not one of the pool.
func (p *pool) used(conn net.Conn) *connection {
	secured, isTLS := conn.(*tls.Conn)
	if isTLS {
		conn = secured.NetConn()
	}
	c, ok := conn.(*connection)
	if !ok {
		return nil
	}
	c.first.Do(func() {
		c.isHTTP2 = isTLS && secured.ConnectionState().NegotiatedProtocol == protocolHTTP2
		if c.isHTTP2 {
			c.count(p.metrics.open[protocolHTTP2])
			return
		}
		c.count(p.metrics.open[protocolHTTP1])
		if isTLS {
			p.warnHTTP1()
		}
	})
	return c
}

// release ends the use of the connections by one request. A call that took them while they were retired may have kept
// one alive, so the last release closes the rest, and once more after idleAfter: a connection becomes idle shortly
// after the end of its last call.
func (g *generation) release() {
	if g.calls.Add(-1) == 0 && g.retired.Load() {
		g.CloseIdleConnections()
		time.AfterFunc(idleAfter, g.CloseIdleConnections)
	}
}

func (p *pool) close() { p.current.Load().CloseIdleConnections() }

// newTransport returns a transport that keeps as many connections as there can be calls in flight:
// http.DefaultTransport keeps two for a host and dials anew for the rest.
func newTransport(authorities *x509.CertPool, idle int, m *metrics) *http.Transport {
	dialer := &net.Dialer{
		Timeout:         5 * time.Second,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3},
		Control: func(_, _ string, connection syscall.RawConn) error {
			return setUserTimeout(connection, deadAfter)
		},
	}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			connection, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			m.opened.Inc()
			return newConnection(connection, m.open[protocolUnknown]), nil
		},
		TLSClientConfig:       &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   5 * time.Second,
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        connectionBuffer,
		WriteBufferSize:       connectionBuffer,

		MaxIdleConns:           idle,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		// A few kilobytes of gzip can decompress to gigabytes, and the responses are small.
		DisableCompression: true,
		// HTTP/2 has its own pings, which also detect a peer that hangs behind a live connection.
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: deadAfter / 2, PingTimeout: deadAfter / 2, WriteByteTimeout: deadAfter,
		},
	}
}
