package call

import (
	"math"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// maxBuckets bounds the memory of the buckets to some 2 MB. An evicted caller merely starts with a full bucket.
	maxBuckets = 10_000

	// maxBucketWait is the maximum Retry-After: with a very small rate the wait would overflow a time.Duration.
	maxBucketWait = 24 * time.Hour
)

// buckets limits each caller to rps calls a second, with a burst of one second, so that no caller uses up the rate that
// Seam allows all of them together. It has a token bucket for each caller; callers that are not proven share one. One
// lock guards all buckets, and the clock is read under it: a bucket whose times are out of order gives out too many
// tokens.
type buckets struct {
	rps     float64
	refused prometheus.Counter

	mu       sync.Mutex
	byCaller *simplelru.LRU[uint64, *rate.Limiter]
}

func newBuckets(rps float64, refused prometheus.Counter) *buckets {
	byCaller, err := simplelru.NewLRU[uint64, *rate.Limiter](maxBuckets, nil)
	if err != nil {
		panic(err) // Only for a size below 1.
	}
	return &buckets{rps: rps, refused: refused, byCaller: byCaller}
}

// take refuses a call that its caller has no token for. Without a limit there are no buckets (nil).
func (b *buckets) take(c *Call) *seamerr.Error {
	if b == nil || c.Method.Public {
		return nil
	}
	if wait := b.wait(c.sharedKey()); wait > 0 {
		b.refused.Inc()
		return seamerr.CallerRateLimited(wait)
	}
	return nil
}

// sharedKey is the key of the caller, or one for all that are not proven.
func (c *Call) sharedKey() uint64 {
	if c.Proven {
		return c.CallerKey
	}
	return 0
}

// wait takes a token out of the bucket of a caller. When there is none, it takes nothing and returns how long it is
// until the next one.
func (b *buckets) wait(key uint64) time.Duration {
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
