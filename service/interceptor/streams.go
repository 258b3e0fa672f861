package interceptor

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxStreams is how many streams may be open at once, on all connections together. They need no credential and have no
// end, and each costs some 13 KB.
const maxStreams = 256

// StreamsConfig configures Streams.
type StreamsConfig struct {
	// Lifetime is how long a stream may last.
	Lifetime time.Duration
	// StreamCtx ends when streams have to.
	StreamCtx context.Context //nolint:containedctx // It is the server's life and no call's.
	// Refused counts the streams that there was no room for.
	Refused prometheus.Counter
}

// Streams limits the number of streams and their lifetime. They are those of the health and reflection services, have
// no end of their own and need no credential: a drain that waited for them would never end.
func Streams(config StreamsConfig) grpc.UnaryServerInterceptor {
	slots := make(chan struct{}, maxStreams)
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		select {
		case slots <- struct{}{}:
		default:
			config.Refused.Inc()
			return nil, tooManyRequests("too many streams are open")
		}
		defer func() { <-slots }()
		lifetime := time.NewTimer(config.Lifetime)
		defer lifetime.Stop()
		// The handler may be waiting for its caller and cannot be interrupted. When this returns, grpc-go ends
		// the stream, and with it the wait. The goroutine is outside of what recovers around this step: Recovery has to
		// stand inside of it.
		ended := make(chan error, 1)
		go func() {
			_, err := handler(ctx, request)
			ended <- err
		}()
		select {
		case err := <-ended:
			return nil, err
		case <-config.StreamCtx.Done():
			return nil, seamerr.StreamEnded("the server is draining", errors.New("drain"))
		case <-lifetime.C:
			return nil, seamerr.StreamEnded("the stream has reached its maximum age", nil)
		}
	}
}
