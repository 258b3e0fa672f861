package call

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/seamerr"
)

// streamFace is the face of a stream with that handler.
type streamFace struct {
	Face

	handle func(ctx context.Context) error
}

func (f streamFace) Respond(ctx context.Context, _ func(context.Context) (proto.Message, error)) error {
	return f.handle(ctx)
}

// TestStreams shows that the number of streams is limited, and that none outlives its lifetime or the service.
func TestStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		draining, drain := context.WithCancel(context.Background())
		refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})
		s := &streams{slots: make(chan struct{}, maxStreams), lifetime: time.Minute, end: draining, refused: refused}
		public := true
		open := func(handle func(context.Context) error) <-chan *seamerr.Error {
			ended := make(chan *seamerr.Error, 1)
			c := &Call{Method: &Method{FullMethod: "/s/Watch", Stream: true, Public: public}}
			ctx, cancel := context.WithCancel(t.Context())
			c.cancel = cancel
			go func() {
				defer cancel()
				ended <- s.serve(ctx, c, streamFace{handle: handle})
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
		if e := <-open(watch); e.GRPCCode() != codes.Unimplemented || count(t, refused) != 1 {
			t.Errorf("one watch too many: %v, %v counted", e, count(t, refused))
		}
		public = false
		if e := <-open(watch); e.GRPCCode() != codes.ResourceExhausted || count(t, refused) != 2 {
			t.Errorf("one stream too many: %v, %v counted", e, count(t, refused))
		}
		time.Sleep(time.Minute)
		for _, stream := range all {
			if e := <-stream; e.Type != "stream_ended" || e.GRPCCode() != codes.Unavailable {
				t.Fatalf("after its lifetime a stream ends with %+v", e)
			}
		}
		if e := <-open(func(context.Context) error { return nil }); e != nil {
			t.Errorf("a stream with an end of its own: %v", e)
		}
		last := open(watch)
		drain()
		if e := <-last; e.Type != "stream_ended" || e.GRPCCode() != codes.Unavailable {
			t.Errorf("while the service drains: %v", e)
		}
		if n := len(s.slots); n != 0 {
			t.Errorf("%d slots are taken in the end", n)
		}
	})
}
