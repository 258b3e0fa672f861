//go:build soak

package soak_test

import (
	"fmt"
	"testing"
	"time"
)

// The bars for what an idle service may have more than before the load.
const (
	moreGoroutines  = 10
	moreDescriptors = 10
	moreHeap        = 8 << 20 // or twice what it was
)

// standing is what an idle service has.
type standing struct {
	goroutines, descriptors int
	heap                    size
}

func (s standing) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors, heap %s", s.goroutines, s.descriptors, s.heap)
}

// settle waits until the service has let go of what the load used, and returns what is left. Its idle connections to
// Seam end after 55 seconds. If it has by then not come down to what is given, it gets another 30 seconds.
func settle(t *testing.T, service *process, downTo standing) standing {
	t.Helper()
	began := time.Now()
	for {
		time.Sleep(time.Second)
		now := readLoad(t, service)
		waited := time.Since(began)
		if waited > 90*time.Second || waited > time.Minute &&
			(now.goroutines <= downTo.goroutines && now.descriptors <= downTo.descriptors || downTo == standing{}) {
			return standing{now.goroutines, now.descriptors, heap(service)}
		}
	}
}

// compare fails the test if there is more than before.
func (s standing) compare(t *testing.T, before standing) {
	t.Helper()
	if s.goroutines > before.goroutines+moreGoroutines {
		t.Errorf("goroutines leak: %d before and %d after", before.goroutines, s.goroutines)
	}
	if s.descriptors > before.descriptors+moreDescriptors {
		t.Errorf("descriptors leak: %d before and %d after", before.descriptors, s.descriptors)
	}
	if s.heap > max(2*before.heap, before.heap+moreHeap) {
		t.Errorf("memory leaks: %s before and %s after", before.heap, s.heap)
	}
}
