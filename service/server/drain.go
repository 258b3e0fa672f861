package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// acceptGrace is how long a connection that was accepted just before the end may take to send its request: net/http
// drops without a response what it reads once its own shutdown has begun.
const acceptGrace = 200 * time.Millisecond

// drain ends the service in three steps: it says that it is not to be called any more, waits for load balancers to hear
// of it while it still takes calls, and then takes no more and lets both faces finish.
func (s *Server) drain(delay time.Duration) error {
	s.ready.Store(false)
	s.health.Shutdown()
	time.Sleep(delay)
	time.AfterFunc(streamGrace, s.cancelStreams)
	// The time is counted from here, so that no setting of the delay can use it up.
	ctx, cancel := context.WithTimeout(context.Background(), s.drainTimeout)
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
	// The admin listener goes last: until here it tells that the service drains.
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

func acceptedNow(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, acceptedKey{}, time.Now())
}

// closingConnections has callers connect anew, as the gRPC server does by itself: while the service drains and still
// takes calls, so that nobody is about to send on a connection that is then closed; and when the connection is older
// than maxAge, if that is not 0, so that a load balancer can spread them. Over HTTP/2 net/http makes a graceful GOAWAY
// of it.
func (s *Server) closingConnections(maxAge time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accepted, _ := r.Context().Value(acceptedKey{}).(time.Time)
		if !s.ready.Load() || (maxAge > 0 && time.Since(accepted) > maxAge) {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
