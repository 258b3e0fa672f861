package sandbox

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// readHeaderTimeout bounds how long a client may take to send the headers of a
// request, so that an abandoned connection is closed.
const readHeaderTimeout = 10 * time.Second

// Server serves a Sandbox on a TCP listener. Make it with Listen.
type Server struct {
	listener   net.Listener
	httpServer *http.Server
	served     chan struct{}
	// connections counts the goroutines of open connections. All are added by
	// the accept loop, so waiting is sound once that loop has ended.
	connections sync.WaitGroup
}

// Listen starts to serve s at a TCP address such as "127.0.0.1:0", where port
// 0 takes a free port. The caller must end it with Close or Shutdown.
func Listen(addr string, s *Sandbox) (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	v := &Server{listener: listener, served: make(chan struct{})}
	v.httpServer = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ConnState:         v.countConnection,
	}
	go func() {
		defer close(v.served)
		// The error only says that the server was closed: a listener that
		// breaks by itself shows to its clients as refused connections.
		_ = v.httpServer.Serve(listener)
	}()
	return v, nil
}

func (v *Server) countConnection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		v.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		v.connections.Done()
	}
}

// Addr is the address the server listens on, as host:port.
func (v *Server) Addr() string {
	return v.listener.Addr().String()
}

// URL is the base URL of the API, without a slash at its end.
func (v *Server) URL() string {
	return "http://" + v.Addr()
}

// Close ends the listener and all connections at once and waits until the
// goroutines of the server have ended. It may be called more than once.
func (v *Server) Close() error {
	err := v.httpServer.Close()
	<-v.served
	// A connection may have been accepted while the first call ran. Now that
	// nothing is accepted any more, the second call catches it.
	err = errors.Join(err, v.httpServer.Close())
	v.connections.Wait()
	return err
}

// Shutdown stops accepting connections and waits for the requests in flight.
// When ctx ends first, the rest is closed at once and the error of ctx is
// returned.
func (v *Server) Shutdown(ctx context.Context) error {
	return errors.Join(v.httpServer.Shutdown(ctx), v.Close())
}
