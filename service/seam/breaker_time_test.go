package seam

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// wantRefused fails unless a call was refused by the circuit breaker, to come back after the wait.
func wantRefused(t *testing.T, err *seamerr.Error, wait time.Duration) {
	t.Helper()
	if err == nil || err.Type != "upstream_circuit_open" || err.GRPCCode() != codes.Unavailable || err.HTTPStatus != 503 || err.NoRetry || err.OutcomeUnknown {
		t.Fatalf("error is %+v, want upstream_circuit_open", err)
	}
	if err.RetryAfter == nil || *err.RetryAfter != wait {
		t.Errorf("retry after %v, want %s", err.RetryAfter, wait)
	}
}

// sick is an upstream that fails until well is set.
type sick struct {
	well, hold       atomic.Bool
	seen, inside     atomic.Int32
	mu               sync.Mutex
	released         chan struct{}
	statusWhenFailed int
}

func newSick() *sick { return &sick{statusWhenFailed: 500} }

func (s *sick) response(w http.ResponseWriter, r *http.Request) {
	s.seen.Add(1)
	if s.hold.Load() {
		s.mu.Lock()
		released := s.released
		s.mu.Unlock()
		s.inside.Add(1)
		defer s.inside.Add(-1)
		select {
		case <-released:
		case <-r.Context().Done():
			return
		}
	}
	if !s.well.Load() {
		w.WriteHeader(s.statusWhenFailed)
		return
	}
	_, _ = w.Write([]byte(seamtest.Success))
}

// holding has requests wait until the returned function is called. Its channel has to be of the test's bubble.
func (s *sick) holding() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released = make(chan struct{})
	s.hold.Store(true)
	return func() {
		s.hold.Store(false)
		close(s.released)
	}
}

// ownState is the state of the circuit that the calls of these tests share: they come from one caller.
func ownState(b bubble) int { return int(b.breaker.circuitOf(0).gate.State()) }

// open fails as often as the breaker takes to open.
func (s *sick) open(t *testing.T, b bubble) {
	t.Helper()
	for range 20 {
		if err := b.once(t.Context()); err.Type == "upstream_circuit_open" {
			t.Fatal("the breaker is open already")
		}
	}
	if state := ownState(b); state != 2 {
		t.Fatalf("the breaker is in state %v", state)
	}
}

// An open breaker sends nothing for five seconds. Then it is half open: three attempts probe Seam, and all others are
// refused.
func TestBreakerHalfOpens(t *testing.T) {
	s := newSick()
	inBubble(t, s.response, func(t *testing.T, b bubble) {
		s.open(t, b)
		opened := time.Now()
		for _, after := range []time.Duration{0, 2 * time.Second, 4900 * time.Millisecond} {
			time.Sleep(after - time.Since(opened))
			wantRefused(t, b.once(t.Context()), 5*time.Second-after)
		}
		if n := s.seen.Load(); n != 20 {
			t.Fatalf("Seam was asked %d times", n)
		}
		time.Sleep(100*time.Millisecond + 1)
		s.well.Store(true)
		release := s.holding()
		ended := make(chan *seamerr.Error, 10)
		for range 10 {
			go func() { ended <- b.once(t.Context()) }()
		}
		synctest.Wait()
		if n := s.inside.Load(); n != 3 || len(ended) != 7 {
			t.Fatalf("%d probes are under way and %d calls are refused, of 10", n, len(ended))
		}
		for range 7 {
			wantRefused(t, <-ended, time.Second)
		}
		if state := ownState(b); state != 1 {
			t.Errorf("while it is probed, the state is %v", state)
		}
		release()
		for range 3 {
			if err := <-ended; err != nil {
				t.Errorf("a probe ends with %v", err)
			}
		}
		if state := ownState(b); state != 0 {
			t.Errorf("after three good probes, the state is %v", state)
		}
		if err := b.once(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// One failed probe opens the breaker for another five seconds.
func TestBreakerOpensAgain(t *testing.T) {
	s := newSick()
	inBubble(t, s.response, func(t *testing.T, b bubble) {
		s.open(t, b)
		for round := range 3 {
			time.Sleep(5*time.Second + 1)
			s.well.Store(true)
			for range round { // Good probes before the bad one do not close it.
				if err := b.once(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			s.well.Store(false)
			if err := b.once(t.Context()); err.HTTPStatus != 500 {
				t.Fatalf("round %d: the probe ends with %v", round, err)
			}
			wantRefused(t, b.once(t.Context()), 5*time.Second)
		}
	})
}

// No retry is sent either while the breaker is open: the call ends with Seam's error.
func TestBreakerOpensDuringACall(t *testing.T) {
	s := newSick()
	s.statusWhenFailed = 503
	inBubble(t, s.response, func(t *testing.T, b bubble) {
		for range 19 {
			b.once(t.Context())
		}
		response, err := b.call(t.Context(), GrantAccess())
		if response.Attempts != 1 || err.HTTPStatus != 503 || err.Type != "" || !err.NoRetry || !err.OutcomeUnknown {
			t.Errorf("response %+v, error %+v", response, err)
		}
		if response.RetryReason != nil {
			t.Errorf("one request has the retry reason %v", response.RetryReason)
		}
		if n := s.seen.Load(); n != 20 {
			t.Errorf("%d requests", n)
		}
	})
}

// A probe without a response gives its place back after five seconds, and not only when its call ends: when Seam has hung
// and responds again, the requests that it has taken before still hang. How they end then says nothing any more.
func TestHungProbesDoNotDelayRecovery(t *testing.T) {
	s := newSick()
	inBubble(t, s.response, func(t *testing.T, b bubble) {
		s.open(t, b)
		time.Sleep(5*time.Second + 1)
		s.well.Store(true)
		defer s.holding()()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		ended := make(chan *seamerr.Error, 3)
		for range 3 {
			go func() { ended <- b.once(ctx) }()
		}
		synctest.Wait()
		s.hold.Store(false)
		wantRefused(t, b.once(t.Context()), time.Second)
		time.Sleep(5*time.Second + 1)
		for range 3 {
			if err := b.once(t.Context()); err != nil {
				t.Fatalf("when three probes have hung for five seconds, the next one ends with %v", err)
			}
		}
		if state := ownState(b); state != 0 {
			t.Errorf("after three good probes, the state is %v", state)
		}
		for range 3 {
			if err := <-ended; err.GRPCCode() != codes.DeadlineExceeded {
				t.Errorf("a call that hangs ends with %v", err)
			}
		}
		if state := ownState(b); state != 0 {
			t.Errorf("when the calls that hung have ended, the state is %v", state)
		}
	})
}

// What does not end well for a probe without being Seam's fault must give its place back, or nothing would ever be
// asked again.
func TestBreakerIsNotJammed(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, b bubble, s *sick){
		"callers that cancel": func(t *testing.T, b bubble, s *sick) {
			release := s.holding()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan *seamerr.Error, 3)
			for range 3 {
				go func() { ended <- b.once(ctx) }()
			}
			synctest.Wait()
			wantRefused(t, b.once(t.Context()), time.Second)
			cancel()
			for range 3 {
				if err := <-ended; err.GRPCCode() != codes.Canceled {
					t.Errorf("error is %v", err)
				}
			}
			release()
		},
		"callers without time": func(t *testing.T, b bubble, s *sick) {
			release := s.holding()
			for range 7 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := b.once(ctx); err.GRPCCode() != codes.DeadlineExceeded {
					t.Errorf("error is %v", err)
				}
				cancel()
			}
			release()
		},
		"panics in the codec": func(t *testing.T, b bubble, _ *sick) {
			for range 7 {
				// A response that is to be read into nothing.
				call := Call{Endpoint: Create(), In: &clientsessionv1.CreateRequest{}}
				if !panics(func() { _, _ = b.Do(t.Context(), &call) }) {
					t.Error("no panic")
				}
			}
		},
		"panics in the transport": func(t *testing.T, b bubble, _ *sick) {
			made := b.pool.make
			b.pool.make = func() *generation {
				transport := made()
				transport.Proxy = func(*http.Request) (*url.URL, error) { panic("in the transport") }
				return transport
			}
			well := b.pool.current.Load()
			b.pool.current.Store(b.pool.next())
			for range 7 {
				if !panics(func() { _ = b.once(t.Context()) }) {
					t.Error("no panic")
				}
			}
			if n := b.pool.current.Load().calls.Load(); n != 0 {
				t.Errorf("the pool counts %d calls in flight", n)
			}
			b.pool.current.Store(well)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSick()
			inBubble(t, s.response, func(t *testing.T, b bubble) {
				s.open(t, b)
				time.Sleep(5*time.Second + 1)
				s.well.Store(true)
				spoil(t, b, s)
				if state := ownState(b); state != 1 {
					t.Errorf("it decided about the state, which is %v", state)
				}
				for range 3 {
					if err := b.once(t.Context()); err != nil {
						t.Fatalf("a probe ends with %v", err)
					}
				}
				if state := ownState(b); state != 0 {
					t.Errorf("after three good probes, the state is %v", state)
				}
			})
		})
	}
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
