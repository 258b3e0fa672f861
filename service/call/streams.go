package call

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxStreams is how many streams may be open at once, on all connections together. They need no credential and have no
// end, and each costs some 13 KB.
const maxStreams = 256

// streams limits the number of streams and their lifetime. They are those of the health and reflection services, have
// no end of their own and need no credential: a drain that waited for them would never end.
type streams struct {
	slots    chan struct{}
	lifetime time.Duration
	// end ends when streams have to.
	end     context.Context //nolint:containedctx // It is the server's and no call's.
	refused prometheus.Counter
}

// serve serves a stream.
func (s *streams) serve(ctx context.Context, f Face, panics panicReporter) *seamerr.Error {
	select {
	case s.slots <- struct{}{}:
	default:
		s.refused.Inc()
		return tooManyRequests("too many streams are open")
	}
	defer func() { <-s.slots }()
	lifetime := time.NewTimer(s.lifetime)
	defer lifetime.Stop()
	// The handler may be waiting for its caller and cannot be interrupted. When this returns, grpc-go ends the stream,
	// and with it the wait.
	ended := make(chan *seamerr.Error, 1)
	go func() {
		var failure *seamerr.Error
		defer func() {
			if value := recover(); value != nil {
				failure = panics.panicError(ctx, FromContext(ctx).Method.FullMethod, value)
			}
			ended <- failure
		}()
		failure = seamerr.From(f.Respond(ctx, nil))
	}()
	select {
	case failure := <-ended:
		return failure
	case <-s.end.Done():
		return seamerr.StreamEnded("the server is draining", errors.New("drain"))
	case <-lifetime.C:
		return seamerr.StreamEnded("the stream has reached its maximum age", nil)
	}
}
