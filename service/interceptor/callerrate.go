package interceptor

import (
	"context"
	"crypto/sha256"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/clientsession/service/service/callinfo"
	"github.com/clientsession/service/service/seam"
	"github.com/clientsession/service/service/seamerr"
)

const (
	// maxBuckets bounds the memory that callers can take up, to some 3 MB; anybody can make up credentials. An evicted
	// caller merely starts with a full bucket.
	maxBuckets = 10_000

	// maxBucketWait is the longest wait that is told: a very small rate has waits that a time cannot hold.
	maxBucketWait = 24 * time.Hour
)

// CallerRate lets each caller make rps calls a second, and one second's worth of them at once, so that none can use up
// what Seam allows all of them together. It stands after the step that finds out who calls. The rps has to be above 0.
func CallerRate(rps float64, refused prometheus.Counter) grpc.UnaryServerInterceptor {
	b := newBuckets(rps)
	return func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		// Only exempt methods come this far with nobody to charge.
		if key := callerKey(callinfo.FromContext(ctx)); key != "" {
			if wait := b.take(key); wait > 0 {
				refused.Inc()
				return nil, seamerr.CallerRateLimited(wait)
			}
		}
		return handler(ctx, request)
	}
}

// callerKey names the caller: by its proven name, or else by a hash of its credential, so that no credential is kept in
// memory for longer than the call. The same credential is the same caller whichever header brought it.
func callerKey(call *callinfo.Call) string {
	if call.Caller != "" {
		return "caller:" + call.Caller
	}
	var credentials []string
	for _, header := range seam.Headers() {
		if !header.Credential {
			continue
		}
		for _, value := range call.SeamHeader.Values(header.Name) {
			if words := strings.Fields(value); len(words) > 0 {
				credentials = append(credentials, words[len(words)-1]) // What stands before it is the scheme.
			}
		}
	}
	if len(credentials) == 0 {
		return ""
	}
	slices.Sort(credentials)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(credentials), " ")))
	return "credential:" + string(sum[:])
}

// buckets has a bucket of tokens for each caller. One lock guards them all, and the clock is read under it: a bucket
// whose times do not come in order gives out too many tokens.
type buckets struct {
	rps float64

	mu       sync.Mutex
	byCaller *simplelru.LRU[string, *rate.Limiter]
}

func newBuckets(rps float64) *buckets {
	byCaller, err := simplelru.NewLRU[string, *rate.Limiter](maxBuckets, nil)
	if err != nil {
		panic(err) // Only for a size below 1.
	}
	return &buckets{rps: rps, byCaller: byCaller}
}

// take takes a token out of the caller's bucket. When there is none it takes nothing and returns how long it is until
// there is one.
func (b *buckets) take(key string) time.Duration {
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
	// Up to a whole millisecond: a caller that comes back just before the token does would be refused again.
	return (wait + time.Millisecond - 1).Truncate(time.Millisecond)
}
