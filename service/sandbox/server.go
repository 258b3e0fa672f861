package sandbox

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// readHeaderTimeout bounds how long a client may take to send the headers of a
// request, so that an abandoned connection is closed.
const readHeaderTimeout = 10 * time.Second

// Server serves a Sandbox on a TCP listener. Make it with Listen or ListenTLS.
type Server struct {
	listener   net.Listener
	httpServer *http.Server
	authority  []byte
	served     chan struct{}

	mu    sync.Mutex
	ended bool
	// running counts the open connections and the requests, each of which has a
	// goroutine: one over HTTP/2 can outlive that of its connection.
	running sync.WaitGroup
}

// Listen starts to serve s at a TCP address such as "127.0.0.1:0", where port
// 0 takes a free port. The caller must end it with Close or Shutdown.
func Listen(addr string, s *Sandbox) (*Server, error) {
	return listen(addr, s, nil)
}

// ListenTLS is Listen over TLS, with HTTP/2 for clients that offer it. It makes
// the certificate, for this machine, and an authority that has signed nothing
// else.
func ListenTLS(addr string, s *Sandbox) (*Server, error) {
	certificate, authority, err := newCertificate()
	if err != nil {
		return nil, err
	}
	v, err := listen(addr, s, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	v.authority = authority
	return v, nil
}

func listen(addr string, s *Sandbox, config *tls.Config) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	v := &Server{listener: listener, served: make(chan struct{})}
	v.httpServer = &http.Server{
		Handler:           v.counted(s),
		TLSConfig:         config,
		ReadHeaderTimeout: readHeaderTimeout,
		ConnState:         v.countConnection,
		ConnContext:       withConnection,
	}
	go func() {
		defer close(v.served)
		// The error only says that the server was closed: a listener that
		// breaks by itself shows to its clients as refused connections.
		if config == nil {
			_ = v.httpServer.Serve(listener)
		} else {
			_ = v.httpServer.ServeTLS(listener, "", "")
		}
	}()
	return v, nil
}

// countConnection is sound without a lock: all connections are added by the
// accept loop, and Close waits once that loop has ended.
func (v *Server) countConnection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		v.running.Add(1)
	case http.StateClosed:
		v.running.Done()
	}
}

// counted counts the requests to next. One that begins when Close already waits
// has lost its connection, and is not served.
func (v *Server) counted(next http.Handler) http.Handler {
	begin := func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		if !v.ended {
			v.running.Add(1)
		}
		return !v.ended
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if begin() {
			defer v.running.Done()
			next.ServeHTTP(w, r)
		}
	})
}

// Addr is the address the server listens on, as host:port.
func (v *Server) Addr() string {
	return v.listener.Addr().String()
}

// URL is the base URL of the API, without a slash at its end.
func (v *Server) URL() string {
	if v.authority == nil {
		return "http://" + v.Addr()
	}
	return "https://" + v.Addr()
}

// AuthorityPEM is the certificate that clients have to trust, as PEM, and nil
// without TLS.
func (v *Server) AuthorityPEM() []byte {
	return v.authority
}

// Close ends the listener and all connections at once and waits until the
// goroutines of the server have ended. It may be called more than once.
func (v *Server) Close() error {
	err := v.httpServer.Close()
	<-v.served
	// A connection may have been accepted while the first call ran. Now that
	// nothing is accepted any more, the second call catches it.
	err = errors.Join(err, v.httpServer.Close())
	v.mu.Lock()
	v.ended = true
	v.mu.Unlock()
	v.running.Wait()
	return err
}

// Shutdown stops accepting connections and waits for the requests in flight.
// When ctx ends first, the rest is closed at once and the error of ctx is
// returned.
func (v *Server) Shutdown(ctx context.Context) error {
	return errors.Join(v.httpServer.Shutdown(ctx), v.Close())
}
