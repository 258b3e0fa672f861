package interceptor

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// maxStreams is how many streams there may be at once, on all connections together. They need no credential and no end,
// and each costs some 13 KB.
const maxStreams = 256

// StreamsConfig is what Streams needs to know.
type StreamsConfig struct {
	// Lifetime is how long a stream may last.
	Lifetime time.Duration
	// StreamCtx ends when streams have to.
	StreamCtx context.Context //nolint:containedctx // It is the server's life and no call's.
	// Refused counts the streams that there was no room for.
	Refused prometheus.Counter
}

// Streams bounds how many streams there are and how long each lasts. They are those of the health and reflection
// services, have no end of their own, and anybody may open one: a drain that waited for them would wait for ever.
func Streams(config StreamsConfig) grpc.UnaryServerInterceptor {
	places := make(chan struct{}, maxStreams)
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		select {
		case places <- struct{}{}:
		default:
			config.Refused.Inc()
			return nil, tooManyRequests("there are as many streams as there may be")
		}
		defer func() { <-places }()
		lifetime := time.NewTimer(config.Lifetime)
		defer lifetime.Stop()
		// The handler may be waiting for its caller, where nothing of ours reaches it. When this returns, grpc-go ends
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
