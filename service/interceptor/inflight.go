package interceptor

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// queueShare is the length of the queue as a part of the limit, one in so many. The queue absorbs the jitter of
	// arrivals. A longer one would only make every accepted call slower, since a queue that stays full adds its whole
	// length to each.
	queueShare = 8

	// queueTime is how long a call waits at most. A burst is over by then, and a caller still has most of its deadline
	// left to retry elsewhere.
	queueTime = 50 * time.Millisecond

	// overloadTime is the Retry-After of a refused call: longer than a burst, shorter than the start of a replica.
	overloadTime = time.Second
)

// InFlight limits the calls in flight, so that the service stays within its memory and the calls that it accepts meet
// their deadlines. A call without a free slot waits in the queue for queueTime and is then refused. Public methods
// (auth.IsPublic) are exempt: a busy service is not dead. The gauge is the number of calls in flight.
func InFlight(limit int, inFlight prometheus.Gauge, refused prometheus.Counter) grpc.UnaryServerInterceptor {
	g := gate{
		slots:   make(chan struct{}, limit),
		waiters: make(chan struct{}, max(1, limit/queueShare)),
		refused: refused,
	}
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if auth.IsPublic(info.FullMethod) {
			return handler(ctx, request)
		}
		if refusal := g.acquire(ctx); refusal != nil {
			return nil, refusal
		}
		inFlight.Inc()
		defer func() { // Also after a panic.
			inFlight.Dec()
			<-g.slots
		}()
		return handler(ctx, request)
	}
}

// gate has an element in slots for each call in flight, and one in waiters for each call in the queue.
type gate struct {
	slots, waiters chan struct{}
	refused        prometheus.Counter
}

// acquire returns nil once the call has a slot, else why the call is refused.
func (g gate) acquire(ctx context.Context) *seamerr.Error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case g.waiters <- struct{}{}:
		defer func() { <-g.waiters }()
	default:
		return g.refuse()
	}
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return seamerr.From(ctx.Err())
	case <-timer.C:
		return g.refuse()
	}
}

func (g gate) refuse() *seamerr.Error {
	g.refused.Inc()
	return seamerr.Overloaded(overloadTime)
}
