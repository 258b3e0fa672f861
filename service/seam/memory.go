package seam

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// firstReservation is what each call has. Nearly all responses fit into it, with their messages.
	firstReservation = 16 << 10
	// minLong is the memory for the rest of longer responses at least, and longPerCall what it is for each call in
	// flight.
	minLong, longPerCall = 48 << 20, 48 << 10
	// responseFactor is how many of the longest responses fit into that at least.
	responseFactor = 7
	// memoryWait is the Retry-After of a call without memory.
	memoryWait = time.Second
	// messageFactor is how many times the length of a response its message takes, with its bytes for the caller.
	messageFactor = 3
)

var errNoMemory = errors.New("the memory for responses is taken")

// memory bounds the memory for responses, from the request to Seam until the response is written to the caller, however
// slowly that reads it. Each call has firstReservation: the calls are bounded, and long responses of some callers leave
// that to all others. The rest is shared, and a caller gets two thirds of it at the most.
type memory struct {
	most, share int
	refused     prometheus.Counter

	mu sync.Mutex
	// calls is how many have a reservation, and long the bytes of these beyond firstReservation.
	calls, long int
	byCaller    map[uint64]int
}

func newMemory(config Config, maxResponseBytes int) *memory {
	most := max(minLong, responseFactor*maxResponseBytes, longPerCall*config.MaxIdleConnections)
	return &memory{most: most, share: most - most/3, refused: config.OverMemory, byCaller: map[uint64]int{}}
}

// inUse returns the reserved bytes.
func (m *memory) inUse() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return float64(m.calls*firstReservation + m.long)
}

// reserve makes a reservation for a call of a caller.
func (m *memory) reserve(r *reservation, caller Caller) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*r = reservation{memory: m, caller: caller.sharedKey(), holders: 1}
	m.calls++
}

// noMemory is the refusal of a call for whose response there is no memory.
func noMemory() *seamerr.Error {
	refusal := seamerr.Overloaded(memoryWait)
	refusal.Message, refusal.Cause = "The service has no memory for the response", errNoMemory
	return refusal
}

// reservation is the memory of one call. It is held by the call and by each of its exchanges, since an exchange may
// outlive the call. The zero reservation has no memory.
type reservation struct {
	memory *memory
	caller uint64
	// The fields below are the memory's. long are the bytes beyond firstReservation.
	long, holders int
}

// grow reserves more bytes. It is false when there are none.
func (r *reservation) grow(bytes int) bool {
	m := r.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.long+bytes > m.most || m.byCaller[r.caller]+bytes > m.share {
		m.refused.Inc()
		return false
	}
	r.add(bytes)
	return true
}

// add adds bytes to what is reserved.
func (r *reservation) add(bytes int) {
	m := r.memory
	r.long += bytes
	m.long += bytes
	if m.byCaller[r.caller] += bytes; m.byCaller[r.caller] == 0 {
		delete(m.byCaller, r.caller)
	}
}

// hold adds a holder.
func (r *reservation) hold() {
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	r.holders++
}

// release ends the hold of one holder. The last one frees the memory.
func (r *reservation) release() {
	if r.memory == nil {
		return
	}
	r.memory.mu.Lock()
	defer r.memory.mu.Unlock()
	if r.holders--; r.holders == 0 {
		r.memory.calls--
		r.add(-r.long)
	}
}
