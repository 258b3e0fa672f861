package seam

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"time"
)

// deadAfter is when a connection counts as dead because its peer neither acknowledges nor sends anything. The kernel's
// own limit is a quarter of an hour, in which every call on the connection would end at its deadline.
const deadAfter = 10 * time.Second

// idleAfter is when a connection is certain to be idle after the end of its last call.
const idleAfter = time.Second

// pool is the connection pool for Seam. No call gets a connection that is older than maxAge: the next one is dialled
// with a new DNS lookup, so that a change of Seam's addresses is followed. Calls in flight on an old one are not
// affected.
type pool struct {
	make    func() *generation
	maxAge  time.Duration
	current atomic.Pointer[generation]
	// http2 is true once a connection speaks HTTP/2.
	http2 atomic.Bool
}

// generation is the connections of one maxAge.
type generation struct {
	*http.Transport

	// http1 is nil where all requests go through the transport.
	http1   *http1
	born    time.Time
	calls   atomic.Int64
	retired atomic.Bool
}

// newPool returns the pool for the endpoint. header has the headers of every request.
func newPool(config Config, header http.Header, m *metrics) *pool {
	p, endpoint := &pool{maxAge: config.MaxConnectionAge}, config.Endpoint
	head, err := newHTTP1Head(endpoint, header) // With an error, each request goes through the transport and has it.
	direct := err == nil && endpoint.Scheme == "http" && !proxied(endpoint)
	p.make = func() *generation {
		g := &generation{Transport: newTransport(config.CAs, config.MaxIdleConnections, m, &p.http2)}
		if direct {
			address := net.JoinHostPort(endpoint.Hostname(), cmp.Or(endpoint.Port(), "80"))
			dial := func(ctx context.Context) (net.Conn, error) { return g.DialContext(ctx, "tcp", address) }
			g.http1 = &http1{dial: dial, head: head, maxIdle: config.MaxIdleConnections}
		}
		return g
	}
	p.current.Store(p.next())
	return p
}

// proxied reports whether the environment names a proxy for the endpoint, or one that is not valid.
func proxied(endpoint *url.URL) bool {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: endpoint})
	return proxy != nil || err != nil
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
			g.closeIdle()
			g = fresh
		} else {
			g = p.current.Load() // Another call was faster.
		}
	}
	g.calls.Add(1)
	return g
}

// closeIdle closes the idle connections and those that calls in flight release later.
func (g *generation) closeIdle() {
	g.CloseIdleConnections()
	if g.http1 != nil {
		g.http1.close()
	}
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

func (p *pool) close() { p.current.Load().closeIdle() }

// newTransport returns a transport that keeps as many connections as there can be calls in flight:
// http.DefaultTransport keeps two for a host and dials anew for the rest. It sets http2 when a connection speaks
// HTTP/2.
func newTransport(
	authorities *x509.CertPool, idle int, m *metrics, http2 *atomic.Bool,
) *http.Transport {
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
			return m.connection(connection), nil
		},
		TLSClientConfig: &tls.Config{
			RootCAs: authorities, MinVersion: tls.VersionTLS12,
			VerifyConnection: func(state tls.ConnectionState) error {
				if state.NegotiatedProtocol == "h2" {
					http2.Store(true)
				}
				return nil
			},
		},
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
