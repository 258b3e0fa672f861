package interceptor

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// maxBuckets bounds the memory of the buckets to some 2 MB. An evicted caller merely starts with a full bucket.
	maxBuckets = 10_000

	// maxBucketWait is the maximum Retry-After: with a very small rate the wait would overflow a time.Duration.
	maxBucketWait = 24 * time.Hour
)

// CallerRate limits each caller to rps calls a second, with a burst of one second, so that no caller uses up the rate
// that Seam allows all of them together. Callers that are not proven share one token bucket. It runs after
// authentication. The rps has to be above 0.
func CallerRate(rps float64, refused prometheus.Counter) grpc.UnaryServerInterceptor {
	b := newBuckets(rps)
	return func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if auth.IsPublic(info.FullMethod) {
			return handler(ctx, request)
		}
		var key uint64
		if call := callinfo.FromContext(ctx); call.Proven {
			key = call.CallerKey
		}
		if wait := b.take(key); wait > 0 {
			refused.Inc()
			return nil, seamerr.CallerRateLimited(wait)
		}
		return handler(ctx, request)
	}
}

// buckets has a token bucket for each caller. One lock guards them all, and the clock is read under it: a bucket whose
// times are out of order gives out too many tokens.
type buckets struct {
	rps float64

	mu       sync.Mutex
	byCaller *simplelru.LRU[uint64, *rate.Limiter]
}

func newBuckets(rps float64) *buckets {
	byCaller, err := simplelru.NewLRU[uint64, *rate.Limiter](maxBuckets, nil)
	if err != nil {
		panic(err) // Only for a size below 1.
	}
	return &buckets{rps: rps, byCaller: byCaller}
}

// take takes a token out of the caller's bucket. When there is none, it takes nothing and returns how long it is until
// the next one.
func (b *buckets) take(key uint64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.byCaller.Get(key)
	if !ok {
		bucket = rate.NewLimiter(rate.Limit(b.rps), max(1, int(math.Ceil(b.rps))))
		b.byCaller.Add(key, bucket)
	}
	now := time.Now()
	reservation := bucket.ReserveN(now, 1)
	wait := min(reservation.DelayFrom(now), maxBucketWait)
	if wait == 0 {
		return 0
	}
	reservation.CancelAt(now)
	// It is rounded up to a millisecond: a caller that retries just before the next token would be refused again.
	return (wait + time.Millisecond - 1).Truncate(time.Millisecond)
}
