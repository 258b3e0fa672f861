package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/clientsession/client-session-service/service/rest"
)

// acceptGrace is how long a connection that was accepted just before the shutdown may take to send its request: after
// net/http's own shutdown has begun, it drops new requests without a response.
const acceptGrace = 200 * time.Millisecond

// streamGrace is how long open streams last during the drain: long enough for health-watch streams to report it. They
// do not delay the shutdown further.
const streamGrace = 200 * time.Millisecond

// drain is the graceful shutdown, in three steps. It reports that it is not ready, keeps accepting calls until load
// balancers have noticed, and then accepts no more and waits for the calls in flight on both faces.
func (s *Server) drain(delay time.Duration) error {
	s.ready.Store(false)
	s.health.Shutdown()
	time.Sleep(delay)
	time.AfterFunc(streamGrace, s.cancelStreams)
	// The timeout begins here, so that no delay can use it up.
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		s.grpcServer.GracefulStop()
		close(finished)
	}()
	_ = s.httpListener.Close()
	time.Sleep(min(delay, acceptGrace))
	var err error
	if httpErr := s.httpServer.Shutdown(ctx); httpErr != nil {
		err = fmt.Errorf("drain the REST face: %w", errors.Join(httpErr, s.httpServer.Close()))
	}
	select {
	case <-finished:
	case <-ctx.Done():
		err = errors.Join(err, errors.New("drain the gRPC face: calls were cut off"))
		s.grpcServer.Stop()
		<-finished
	}
	s.stopTracing(ctx)
	// The admin listener closes last: until here it reports that the service drains.
	err = errors.Join(err, s.adminServer.Close())
	s.seamClient.Close()
	if s.issuers != nil {
		s.issuers.CloseIdleConnections()
	}
	if s.sandboxServer != nil {
		err = errors.Join(err, s.sandboxServer.Close())
	}
	return err
}

// acceptedKey is the key of the time at which a connection of the REST face was accepted, in its requests' contexts.
type acceptedKey struct{}

func acceptedNow(ctx context.Context, connection net.Conn) context.Context {
	return rest.WithPeer(context.WithValue(ctx, acceptedKey{}, time.Now()), connection.RemoteAddr())
}

// closingConnections makes clients reconnect, as the gRPC server does by itself: while the service drains and still
// accepts calls, so that no client sends a request on a connection that is being closed; and when the connection is
// older than its maximum age, so that a load balancer can rebalance. Over HTTP/2 net/http sends a graceful
// GOAWAY. A connection over which a body came in chunks is closed as well: net/http drops a Content-Length beside them,
// so that nobody can see whether the two differ, and RFC 9112, 6.1 then asks to close the connection.
func (s *Server) closingConnections(next http.Handler) http.Handler {
	maxAge := s.cfg.MaxConnectionAge
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accepted, _ := r.Context().Value(acceptedKey{}).(time.Time)
		if !s.ready.Load() || time.Since(accepted) > maxAge || len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
