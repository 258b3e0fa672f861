package call

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// TestStreams shows that the number of streams is limited, that none outlives its lifetime or the service, and that a
// panic ends only its own stream.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining, drain := context.WithCancel(context.Background())
		s := newTestServer(t, func(c *Config) { c.StreamCtx = draining })
		// What grpc-go does when the stream has been served.
		ctx, end := context.WithCancel(t.Context())
		defer end()
		public := true
		open := func(handle func(context.Context) error) <-chan *seamerr.Error {
			ended := make(chan *seamerr.Error, 1)
			go func() {
				ended <- s.serve(ctx, Method{FullMethod: "/s/Watch", Stream: true, Public: public}, handling(handle))
			}()
			synctest.Wait()
			return ended
		}
		watch := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		var all []<-chan *seamerr.Error
		for range 256 {
			all = append(all, open(watch))
		}
		// A client library takes a server without health watches for healthy, and fails its calls after any other code.
		if e := <-open(watch); e.GRPCCode() != codes.Unimplemented || count(t, s.streams.refused) != 1 {
			t.Errorf("one watch too many: %v, %v counted", e, count(t, s.streams.refused))
		}
		public = false
		if e := <-open(watch); e.GRPCCode() != codes.ResourceExhausted || count(t, s.streams.refused) != 2 {
			t.Errorf("one stream too many: %v, %v counted", e, count(t, s.streams.refused))
		}
		time.Sleep(time.Minute)
		for _, stream := range all {
			if e := <-stream; e.Type != "stream_ended" || e.GRPCCode() != codes.Unavailable {
				t.Fatalf("after its lifetime a stream ends with %+v", e)
			}
		}
		if e := <-open(func(context.Context) error { panic("x") }); e.GRPCCode() != codes.Internal || count(t, s.panics) != 1 {
			t.Errorf("a panic: %v, %v counted", e, count(t, s.panics))
		}
		if lines := s.log.lines(t, "panic"); len(lines) != 1 || lines[0]["method"] != "/s/Watch" {
			t.Errorf("the log of the panic is %v", lines)
		}
		if e := <-open(func(context.Context) error { return nil }); e != nil {
			t.Errorf("a stream with an end of its own: %v", e)
		}
		last := open(watch)
		drain()
		if e := <-last; e.Type != "stream_ended" || e.GRPCCode() != codes.Unavailable {
			t.Errorf("while the service drains: %v", e)
		}
		if n := len(s.streams.slots); n != 0 {
			t.Errorf("%d slots are taken in the end", n)
		}
	})
}
