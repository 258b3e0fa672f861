package call

import (
	"container/list"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// RequestReadTimeout is how long the body of a request may take to arrive, from its headers on.
	RequestReadTimeout = 10 * time.Second

	// arrivingShare is how many requests may be arriving at once, as a part of the calls in flight: a body takes a
	// thousandth of the time of a call. minArriving is the minimum.
	arrivingShare, minArriving = 4, 64

	// bytesPerCall and minBufferBytes bound the bytes of all requests in memory by the calls in flight: a legitimate
	// request has some hundred bytes.
	bytesPerCall, minBufferBytes = 16 << 10, 2 << 20

	// pressureLogInterval is the minimum time between two lines about requests that were cut off.
	pressureLogInterval = 10 * time.Second
)

// requestBuffer bounds the memory for the bodies of requests, however slowly they arrive. Its limits cannot be used to
// deny service: at a limit, the request that has been arriving for longest is cut off, and a legitimate request arrives
// within milliseconds.
type requestBuffer struct {
	maxArriving int
	maxBytes    int
	// maxRequest bounds the body of one request.
	maxRequest int
	timeout    time.Duration
	logger     *slog.Logger
	// evicted and timedOut count the requests that were cut off, rejected those that were refused because the calls in
	// flight used all of the memory.
	evicted, timedOut, rejected prometheus.Counter

	mu sync.Mutex
	// arrivals has a *arrival for each request that is arriving, the oldest first.
	arrivals list.List
	bytes    int
	// timerSet is true while a timer for cutLate is set.
	timerSet bool
	logged   time.Time
}

// arrival is a request that is arriving, and then the owner of its bytes while the call is in flight.
type arrival struct {
	buffer *requestBuffer
	place  *list.Element
	began  time.Time
	cut    func()
	bytes  int
	// err is why the request was cut off, nil while it was not.
	err *seamerr.Error
}

// add adds an arrival for a request that is about to be read. cut ends the reading. It always succeeds, if need be by
// evicting the oldest arrival.
func (b *requestBuffer) add(cut func()) *arrival {
	a := &arrival{buffer: b, began: time.Now(), cut: cut}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.arrivals.Len() >= b.maxArriving {
		b.evictOldest("too many requests were arriving, this one for longest")
	}
	a.place = b.arrivals.PushBack(a)
	if !b.timerSet {
		b.timerSet = true
		time.AfterFunc(b.timeout, b.cutLate)
	}
	return a
}

// received accounts for further bytes of the request, if need be by evicting older arrivals.
func (a *arrival) received(bytes int) *seamerr.Error {
	b := a.buffer
	b.mu.Lock()
	defer b.mu.Unlock()
	for a.err == nil && b.bytes+bytes > b.maxBytes {
		if b.arrivals.Front() == a.place {
			b.rejected.Inc()
			return tooManyRequests("the memory for requests is taken")
		}
		b.evictOldest("the memory for requests was needed, and this one was arriving for longest")
	}
	if a.err != nil {
		return a.err
	}
	a.bytes += bytes
	b.bytes += bytes
	return nil
}

// arrived ends the reading. It returns why the request was cut off, nil if it was not. Its bytes are still in memory.
func (a *arrival) arrived() *seamerr.Error {
	a.buffer.mu.Lock()
	defer a.buffer.mu.Unlock()
	a.unlist()
	return a.err
}

// release frees the bytes at the end of the call.
func (a *arrival) release() {
	a.buffer.mu.Lock()
	defer a.buffer.mu.Unlock()
	a.unlist()
	a.buffer.bytes -= a.bytes
	a.bytes = 0
}

func (a *arrival) unlist() {
	if a.place != nil {
		a.buffer.arrivals.Remove(a.place)
		a.place = nil
	}
}

// evictOldest cuts off the oldest arrival to free its place and its memory. Besides the access log's line for the call,
// it logs that there is pressure.
func (b *requestBuffer) evictOldest(cause string) {
	b.cutOldest(b.evicted, tooManyRequests(cause))
	if now := time.Now(); now.Sub(b.logged) >= pressureLogInterval {
		b.logged = now
		b.logger.Warn("requests are cut off while they arrive",
			slog.String("cause", cause), slog.Int("arriving", b.arrivals.Len()+1), slog.Int("bytes", b.bytes))
	}
}

// cutOldest cuts off the oldest arrival. Its bytes count as freed at once, since it is about to free them.
func (b *requestBuffer) cutOldest(counter prometheus.Counter, err *seamerr.Error) {
	oldest, ok := b.arrivals.Front().Value.(*arrival)
	if !ok {
		return
	}
	counter.Inc()
	oldest.err = err
	oldest.unlist()
	b.bytes -= oldest.bytes
	oldest.bytes = 0
	oldest.cut()
}

// cutLate cuts off the arrivals that have timed out, and sets a timer for the next one.
func (b *requestBuffer) cutLate() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for front := b.arrivals.Front(); front != nil; front = b.arrivals.Front() {
		oldest, ok := front.Value.(*arrival)
		if left := b.timeout - time.Since(oldest.began); ok && left > 0 {
			time.AfterFunc(left, b.cutLate)
			return
		}
		b.cutOldest(b.timedOut, seamerr.RequestTimeout(errors.New("the request did not arrive in time")))
	}
	b.timerSet = false
}

func tooManyRequests(cause string) *seamerr.Error {
	e := seamerr.Overloaded(overloadTime)
	e.Cause = errors.New(cause)
	return e
}

// inMemory returns how many bytes of requests are in memory, and arriving how many requests are.
func (b *requestBuffer) inMemory() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return float64(b.bytes)
}

func (b *requestBuffer) arriving() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return float64(b.arrivals.Len())
}
