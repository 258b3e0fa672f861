package interceptor

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
	// MaxRequestBytes bounds the body of a request on both faces. The largest honest one, with some thousand ids, is
	// under it.
	MaxRequestBytes = 128 << 10

	// RequestReadTimeout is how long the body of a request may take to arrive, from its headers on.
	RequestReadTimeout = 10 * time.Second

	// readerShare is how many requests may be arriving at once, as a part of the calls in flight: a body takes a
	// thousandth of the time of a call. minReaders is the least number.
	readerShare, minReaders = 4, 64

	// bytesPerCall and minBufferBytes bound the bytes of all requests in memory by the calls in flight: an honest request
	// has some hundred bytes.
	bytesPerCall, minBufferBytes = 16 << 10, 2 << 20

	// pressureLogInterval is the least time between two lines about requests that were cut off.
	pressureLogInterval = 10 * time.Second
)

// requestBuffer bounds what the bodies of requests cost in memory, whoever sends them and however slowly. Its limits
// cannot be used to keep others out: where one is reached, it is the request that has been arriving for longest that is
// cut off. An honest request arrives within milliseconds.
type requestBuffer struct {
	maxReaders int
	maxBytes   int
	timeout    time.Duration
	logger     *slog.Logger
	// cutForRoom and cutForTime count the requests that were cut off, tooFull those that found the memory taken by calls
	// in flight.
	cutForRoom, cutForTime, tooFull prometheus.Counter

	mu sync.Mutex
	// readers has a *reader for each request that is arriving, the oldest first.
	readers list.List
	bytes   int
	// timerSet is true while a timer is to look for readers whose time is over.
	timerSet bool
	logged   time.Time
}

// reader is a request that is arriving, and then its bytes while the call is in flight.
type reader struct {
	buffer  *requestBuffer
	place   *list.Element
	began   time.Time
	cut     func()
	bytes   int
	counted bool
	// err is why the request was cut off, nil while it was not.
	err *seamerr.Error
}

// enter takes a place for a request that is about to be read; cut ends the reading. It always succeeds, if need be at
// the cost of the oldest reader.
func (b *requestBuffer) enter(cut func(), counted bool) *reader {
	r := &reader{buffer: b, began: time.Now(), cut: cut, counted: counted}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readers.Len() >= b.maxReaders {
		b.makeRoom("too many requests were arriving, this one for longest")
	}
	r.place = b.readers.PushBack(r)
	if !b.timerSet {
		b.timerSet = true
		time.AfterFunc(b.timeout, b.cutLate)
	}
	return r
}

// received makes room for further bytes of the request, if need be at the cost of older readers.
func (r *reader) received(bytes int) *seamerr.Error {
	b := r.buffer
	b.mu.Lock()
	defer b.mu.Unlock()
	for r.err == nil && r.counted && b.bytes+bytes > b.maxBytes {
		if b.readers.Front() == r.place {
			b.tooFull.Inc()
			return tooManyRequests("the memory for requests is taken")
		}
		b.makeRoom("the memory for requests was needed, and this one was arriving for longest")
	}
	if r.err != nil {
		return r.err
	}
	r.bytes += bytes
	b.bytes += bytes
	return nil
}

// arrived ends the reading, and says why the request was cut off, if it was. Its bytes are still in memory.
func (r *reader) arrived() *seamerr.Error {
	r.buffer.mu.Lock()
	defer r.buffer.mu.Unlock()
	r.leave()
	return r.err
}

// release gives the bytes back when the call has ended.
func (r *reader) release() {
	r.buffer.mu.Lock()
	defer r.buffer.mu.Unlock()
	r.leave()
	r.buffer.bytes -= r.bytes
	r.bytes = 0
}

func (r *reader) leave() {
	if r.place != nil {
		r.buffer.readers.Remove(r.place)
		r.place = nil
	}
}

// makeRoom cuts off the oldest reader, since others need what it has. Each call has its line in the log; this one says
// that there is pressure.
func (b *requestBuffer) makeRoom(cause string) {
	b.cutOldest(b.cutForRoom, tooManyRequests(cause))
	if now := time.Now(); now.Sub(b.logged) >= pressureLogInterval {
		b.logged = now
		b.logger.Warn("requests are cut off while they arrive",
			slog.String("cause", cause), slog.Int("arriving", b.readers.Len()+1), slog.Int("bytes", b.bytes))
	}
}

// cutOldest cuts the oldest reader off. Its bytes count as given back at once: it is about to let go of them.
func (b *requestBuffer) cutOldest(counter prometheus.Counter, err *seamerr.Error) {
	oldest, ok := b.readers.Front().Value.(*reader)
	if !ok {
		return
	}
	counter.Inc()
	oldest.err = err
	oldest.leave()
	b.bytes -= oldest.bytes
	oldest.bytes = 0
	oldest.cut()
}

// cutLate cuts off the readers whose time is over, and comes again when the time of the next one is.
func (b *requestBuffer) cutLate() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for front := b.readers.Front(); front != nil; front = b.readers.Front() {
		oldest, ok := front.Value.(*reader)
		if left := b.timeout - time.Since(oldest.began); ok && left > 0 {
			time.AfterFunc(left, b.cutLate)
			return
		}
		b.cutOldest(b.cutForTime, seamerr.RequestTimeout(errors.New("the request did not arrive in time")))
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
	return float64(b.readers.Len())
}
