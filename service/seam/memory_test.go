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
		t.Helper()
		r := &reservation{}
		if refusal := m.reserve(r, caller); refusal != nil {
			t.Fatal(refusal)
		}
		return r
	}
	one := reserve(Caller{Key: 1, Proven: true})
	if !one.grow(48<<20 - firstReservation) {
		t.Error("three quarters of the memory are refused")
	}
	if refusal := m.reserve(&reservation{}, Caller{Key: 1, Proven: true}); refusal == nil || refusal.Type != "overloaded" {
		t.Errorf("more than the share of a caller: %v", refusal)
	}
	want(48<<20, 1)
	// Callers that are not proven are one.
	first, second := reserve(Caller{Key: 2}), reserve(Caller{Key: 3})
	if second.grow(64<<20 - 48<<20) {
		t.Error("more than all of the memory is given out")
	}
	want(48<<20+2*firstReservation, 2)
	one.hold()
	one.release()
	want(48<<20+2*firstReservation, 2)
	one.release()
	first.release()
	second.release()
	want(0, 2)
	if len(m.byCaller) != 0 {
		t.Errorf("callers without memory are kept: %v", m.byCaller)
	}
}
