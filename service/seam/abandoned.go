package seam

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// abandonedAge is how old a request is at least before it is canceled because its call has ended. Most servers count
	// only younger ones when they look for a client that resets streams to attack them; Envoy's limit is two seconds.
	abandonedAge = slowAfter
	// abandonedOfCaller is how many abandoned exchanges a caller can have. More of its calls are refused until some have
	// ended: to cancel them would cost the others.
	abandonedOfCaller = 128
	// abandonedWait is the Retry-After of such a refusal.
	abandonedWait = time.Second
)

// abandoned are the exchanges whose calls have ended, because the caller left or its deadline passed. They go on until
// Seam has responded, or until abandonedAge.
type abandoned struct {
	// most is how many there can be. A request beyond is canceled when its call ends.
	most  int
	count atomic.Int64

	mu       sync.Mutex
	callers  map[*exchange]uint64
	byCaller map[uint64]int
	closed   bool
}

func newAbandoned(most int) *abandoned {
	return &abandoned{most: most, callers: map[*exchange]uint64{}, byCaller: map[uint64]int{}}
}

// allow refuses a call of a caller that has too many abandoned exchanges.
func (a *abandoned) allow(caller Caller) *seamerr.Error {
	if a.count.Load() < abandonedOfCaller {
		return nil
	}
	a.mu.Lock()
	n := a.byCaller[caller.sharedKey()]
	a.mu.Unlock()
	if n < abandonedOfCaller {
		return nil
	}
	refusal := seamerr.CallerRateLimited(abandonedWait)
	refusal.Cause = fmt.Errorf("%d requests to Seam of calls that the caller has left are in flight", n)
	return refusal
}

// add abandons an exchange: it is canceled at abandonedAge, or at once if it has not been sent.
func (a *abandoned) add(x *exchange, caller Caller) {
	if !x.wroteHeaders.Load() || !a.register(x, caller.sharedKey()) {
		x.cancel()
		return
	}
	if !x.state.CompareAndSwap(exchangeRuns, exchangeAbandoned) {
		a.remove(x) // It has ended meanwhile.
		return
	}
	time.AfterFunc(abandonedAge-time.Since(x.began), x.cancel)
}

// register reports whether there is room for another exchange.
func (a *abandoned) register(x *exchange, key uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.callers) >= a.most {
		return false
	}
	a.count.Add(1)
	a.callers[x] = key
	a.byCaller[key]++
	return true
}

// remove ends the registration of an exchange.
func (a *abandoned) remove(x *exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key, ok := a.callers[x]
	if !ok {
		return
	}
	a.count.Add(-1)
	delete(a.callers, x)
	if a.byCaller[key]--; a.byCaller[key] == 0 {
		delete(a.byCaller, key)
	}
}

// close cancels all exchanges, and those that are abandoned later.
func (a *abandoned) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for x := range a.callers {
		x.cancel()
	}
}
