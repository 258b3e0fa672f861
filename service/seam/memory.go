package seam

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clientsession/client-session-service/service/seamerr"
)

const (
	// minMemory is the memory for all responses at least, and memoryPerCall what it is for each call in flight.
	minMemory, memoryPerCall = 64 << 20, 64 << 10
	// responseFactor is how many of the longest responses fit into the memory at least.
	responseFactor = 6
	// firstReservation is what a call reserves before it is sent, so that a call without memory has no effect at Seam.
	// Nearly all responses fit into it, with their messages.
	firstReservation = 16 << 10
	// memoryWait is the Retry-After of a call without memory.
	memoryWait = time.Second
	// messageFactor is how many times the length of a response its message takes, with its bytes for the caller.
	messageFactor = 3
)

var errNoMemory = errors.New("the memory for responses is taken")

// memory bounds the memory for responses, from the request to Seam until the response is written to the caller, however
// slowly that reads it. A caller gets three quarters of it at the most.
type memory struct {
	most, share int
	refused     prometheus.Counter

	mu       sync.Mutex
	bytes    int
	byCaller map[uint64]int
}

func newMemory(config Config, maxResponseBytes int) *memory {
	most := max(minMemory, responseFactor*maxResponseBytes, memoryPerCall*config.MaxIdleConnections)
	return &memory{most: most, share: most - most/4, refused: config.OverMemory, byCaller: map[uint64]int{}}
}

// inUse returns the reserved bytes.
func (m *memory) inUse() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return float64(m.bytes)
}

// reserve makes a reservation for a call of a caller.
func (m *memory) reserve(r *reservation, caller Caller) *seamerr.Error {
	*r = reservation{memory: m, caller: caller.sharedKey(), holders: 1}
	if !r.grow(firstReservation) {
		return noMemory()
	}
	return nil
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
	// The fields below are the memory's.
	bytes, holders int
}

// grow reserves more bytes. It is false when there are none.
func (r *reservation) grow(bytes int) bool {
	m := r.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes+bytes > m.most || m.byCaller[r.caller]+bytes > m.share {
		m.refused.Inc()
		return false
	}
	r.add(bytes)
	return true
}

// add adds bytes to what is reserved.
func (r *reservation) add(bytes int) {
	m := r.memory
	r.bytes += bytes
	m.bytes += bytes
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
		r.add(-r.bytes)
	}
}
