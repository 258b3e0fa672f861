package seamtest

import (
	"sync"
	"time"
)

// Stamps are when requests came.
type Stamps struct {
	mu    sync.Mutex
	times []time.Time
}

// Add notes that a request comes now.
func (s *Stamps) Add() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times = append(s.times, time.Now())
}

// Len is how many requests came.
func (s *Stamps) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// Gaps returns the time between one request and the next.
func (s *Stamps) Gaps() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var gaps []time.Duration
	for i := 1; i < len(s.times); i++ {
		gaps = append(gaps, s.times[i].Sub(s.times[i-1]))
	}
	return gaps
}
