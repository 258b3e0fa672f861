package seam

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestMemory shows that the memory for responses is bounded for one caller and for all, and that it is freed by the last
// of those that hold it.
func TestMemory(t *testing.T) {
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})
	m := newMemory(Config{OverMemory: refused, MaxIdleConnections: 1}, 8<<20)
	want := func(inUse, refusals int) {
		t.Helper()
		var value dto.Metric
		if err := refused.Write(&value); err != nil {
			t.Fatal(err)
		}
		if got := int(m.inUse()); got != inUse || int(value.GetCounter().GetValue()) != refusals {
			t.Errorf("%d bytes are in use and %v refused, want %d and %d", got, value.GetCounter().GetValue(), inUse, refusals)
		}
	}
	reserve := func(caller Caller) *reservation {
		r := &reservation{}
		m.reserve(r, caller)
		return r
	}
	const share = 112 << 20 / 3 // Two thirds of 7 times 8 MiB.
	one := reserve(Caller{Key: 1, Proven: true})
	if !one.grow(share) || one.grow(1<<20) {
		t.Error("a caller gets another share than two thirds")
	}
	want(firstReservation+share, 1)
	// Callers that are not proven are one.
	first, second := reserve(Caller{Key: 2}), reserve(Caller{Key: 3})
	if !first.grow(56<<20-share) || second.grow(1) {
		t.Error("another amount than all of the memory is given out")
	}
	// The first part is there for each call, whatever the others hold.
	third := reserve(Caller{Key: 4})
	want(4*firstReservation+56<<20, 2)
	one.hold()
	one.release()
	want(4*firstReservation+56<<20, 2)
	for _, r := range []*reservation{one, first, second, third} {
		r.release()
	}
	want(0, 2)
	if len(m.byCaller) != 0 {
		t.Errorf("callers without memory are kept: %v", m.byCaller)
	}
}
