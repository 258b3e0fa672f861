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
	// queueShare is what part of the limit may wait, one in so many. The queue takes up the jitter of arrivals; a longer
	// one would only make every accepted call slower, since a queue that stays full adds its whole length to each.
	queueShare = 8

	// queueTime is how long a call waits at most. A burst is over by then, and a caller still has most of its time left
	// to ask elsewhere.
	queueTime = 50 * time.Millisecond

	// overloadTime is what a refused caller is told to wait: long against a burst, short against a new replica.
	overloadTime = time.Second
)

// InFlight lets at most limit calls past this step at once, so that the service stays within its memory and answers
// those that it takes in time. A call that finds no room waits for a moment and is then refused. Public methods
// (auth.IsPublic) pass by: a service that is busy is not dead. The gauge tells how many calls are past this step.
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

// gate has an element in room for each call that is past it, and one in queue for each that waits.
type gate struct {
	slots, waiters chan struct{}
	refused        prometheus.Counter
}

// acquire returns nil once the call has a place in room, else why it gets none.
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
