package interceptor_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/interceptor"
)

// TestStreams shows that the number of streams is limited, that none outlives its lifetime or the service, and that a
// panic ends only its own stream.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining, drain := context.WithCancel(context.Background())
		refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})
		panics := prometheus.NewCounter(prometheus.CounterOpts{Name: "panics"})
		logger, _ := newLog(slog.LevelInfo)
		steps := []grpc.UnaryServerInterceptor{interceptor.Streams(interceptor.StreamsConfig{
			Lifetime: time.Minute, StreamCtx: draining, Refused: refused,
		}), interceptor.Recovery(logger, panics)}
		open := func(ctx context.Context, handler grpc.UnaryHandler) <-chan error {
			ended := make(chan error, 1)
			go func() {
				_, err := interceptor.Bind(steps, info(), handler)(ctx, nil)
				ended <- err
			}()
			synctest.Wait()
			return ended
		}
		watch := func(ctx context.Context, _ any) (any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		// What grpc-go does when the step has returned.
		ctx, end := context.WithCancel(t.Context())
		defer end()
		var streams []<-chan error
		for range 256 {
			streams = append(streams, open(ctx, watch))
		}
		if err := <-open(ctx, watch); asError(t, err).GRPCCode() != codes.ResourceExhausted || count(t, refused) != 1 {
			t.Errorf("one too many: %v, %v counted", err, count(t, refused))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, stream := range streams {
			if e := asError(t, <-stream); e.Type != "stream_ended" || e.GRPCCode() != codes.Unavailable {
				t.Fatalf("after its lifetime a stream ends with %+v", e)
			}
		}
		if err := <-open(ctx, func(context.Context, any) (any, error) { panic("x") }); asError(t, err).GRPCCode() != codes.Internal || count(t, panics) != 1 {
			t.Errorf("a panic: %v, %v counted", err, count(t, panics))
		}
		if err := <-open(ctx, ok); err != nil {
			t.Errorf("a stream with an end of its own: %v", err)
		}
		last := open(ctx, watch)
		drain()
		if err := <-last; asError(t, err).GRPCCode() != codes.Unavailable {
			t.Errorf("while the service drains: %v", err)
		}
	})
}
