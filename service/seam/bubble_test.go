package seam

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The two protocols by which Seam can be reached.
const (
	overHTTP1 = "HTTP/1.1"
	overHTTP2 = "HTTP/2"
)

// bubble is a client, and a server in place of Seam, under the fake clock of testing/synctest. The client reaches the
// server in the shipped way, over TLS. Only the network is a fake: the clock does not advance while a goroutine waits
// for a real one.
type bubble struct {
	*Client

	mu   sync.Mutex
	came []time.Time
}

// inBubble runs a test over HTTP/2. The settings change the configuration of the client.
func inBubble(t *testing.T, handler http.HandlerFunc, test func(*testing.T, *bubble), settings ...func(*Config)) {
	t.Helper()
	inBubbleOver(t, overHTTP2, handler, test, settings...)
}

// overBoth runs a test over each protocol.
func overBoth(t *testing.T, handler http.HandlerFunc, test func(*testing.T, *bubble), settings ...func(*Config)) {
	t.Helper()
	for _, over := range []string{overHTTP1, overHTTP2} {
		t.Run(over, func(t *testing.T) { inBubbleOver(t, over, handler, test, settings...) })
	}
}

func inBubbleOver(
	t *testing.T, over string, handler http.HandlerFunc, test func(*testing.T, *bubble), settings ...func(*Config),
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, network := &bubble{}, &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		server := &httptest.Server{Listener: network, EnableHTTP2: over == overHTTP2, Config: &http.Server{
			Handler:  b.noting(handler),
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
		}}
		server.StartTLS()
		b.Client = newClient(t, server.URL, settings...)
		overTCP := b.pool.make
		b.pool.make = func() *generation {
			g := overTCP()
			g.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := network.dial(ctx)
				if err != nil {
					return nil, err
				}
				b.metrics.opened.Inc()
				return newConnection(conn, b.metrics.open[protocolUnknown]), nil
			}
			return g
		}
		b.pool.current.Store(b.pool.next())
		// Also of a test that ends early: the bubble waits for all that goes on in it.
		defer server.Close()
		defer b.Close()
		test(t, b)
	})
}

// noting returns a handler that notes when requests come.
func (b *bubble) noting(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.came = append(b.came, time.Now())
		b.mu.Unlock()
		handler(w, r)
	}
}

// requests returns how many requests came, and the time between one and the next.
func (b *bubble) requests() (n int, gaps []time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := 1; i < len(b.came); i++ {
		gaps = append(gaps, b.came[i].Sub(b.came[i-1]))
	}
	return len(b.came), gaps
}

// connections returns how many connections were opened, and how many are open.
func (b *bubble) connections(t *testing.T) (opened, open int) {
	t.Helper()
	for _, gauge := range b.metrics.open {
		open += value(t, gauge)
	}
	return value(t, b.metrics.opened), open
}

// pipes is a network of one listener.
type pipes struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.accepted <- theirs:
		go func() { // The end of a server holds a lock while TLS waits for its last words to be read.
			<-p.closed
			_ = theirs.Close()
		}()
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accepted:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }
