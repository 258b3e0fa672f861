package interceptor_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// inFlightHarness is the step with a handler in which calls block until they are released.
type inFlightHarness struct {
	step     grpc.UnaryServerInterceptor
	inFlight prometheus.Gauge
	refused  prometheus.Counter
	release  chan struct{}
	within   atomic.Int32
}

func newInFlightHarness(limit int) *inFlightHarness {
	r := &inFlightHarness{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "in_flight"}),
		refused:  prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"}),
		release:  make(chan struct{}),
	}
	r.step = interceptor.InFlight(limit, r.inFlight, r.refused)
	return r
}

func (r *inFlightHarness) handle(context.Context, any) (any, error) {
	r.within.Add(1)
	defer r.within.Add(-1)
	<-r.release
	return "response", nil
}

// call makes a call in the background. Its error is sent on the channel.
func (r *inFlightHarness) call(ctx context.Context) <-chan error {
	ended := make(chan error, 1)
	go func() {
		_, err := r.step(ctx, nil, info(), r.handle)
		ended <- err
	}()
	return ended
}

// calls makes n calls, and returns once each is in the handler, waits or has ended.
func (r *inFlightHarness) calls(ctx context.Context, n int) []<-chan error {
	var calls []<-chan error
	for range n {
		calls = append(calls, r.call(ctx))
	}
	synctest.Wait()
	return calls
}

// outcomes returns how many of the calls succeeded and how many were refused, and the open ones.
func outcomes(t *testing.T, calls []<-chan error) (good, refused int, open []<-chan error) {
	t.Helper()
	for _, call := range calls {
		select {
		case err := <-call:
			if err == nil {
				good++
				continue
			}
			refused++
			e := asError(t, err)
			if e.Type != "overloaded" || e.GRPCCode() != codes.ResourceExhausted || e.HTTPStatus != 503 {
				t.Errorf("error is %+v", e)
			}
			if e.RetryAfter == nil || *e.RetryAfter != time.Second {
				t.Errorf("Retry-After is %v", e.RetryAfter)
			}
		default:
			open = append(open, call)
		}
	}
	return good, refused, open
}

func gaugeOf(t *testing.T, gauge prometheus.Gauge) float64 {
	t.Helper()
	var metric dto.Metric
	if err := gauge.Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetGauge().GetValue()
}

// How many calls get a slot, wait for at most 50 ms, and are refused at once.
func TestInFlightBounds(t *testing.T) {
	for name, test := range map[string]struct {
		limit, calls, within, waiting int
	}{
		"slots for all":            {8, 8, 8, 0},
		"one waits":                {8, 9, 8, 1},
		"queue is full":            {8, 12, 8, 1},
		"a limit of one":           {1, 5, 1, 1},
		"a queue of at least one":  {7, 12, 7, 1},
		"a queue of an eighth":     {64, 100, 64, 8},
		"an eighth, rounded down":  {63, 100, 63, 7},
		"the default, overcrowded": {1024, 2000, 1024, 128},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newInFlightHarness(test.limit)
				calls := r.calls(t.Context(), test.calls)
				// Time has stood still until here, so these were refused at once.
				atOnce := test.calls - test.within - test.waiting
				_, refused, open := outcomes(t, calls)
				if refused != atOnce || len(open) != test.within+test.waiting || r.within.Load() != int32(test.within) {
					t.Errorf("%d refused, %d not ended, %d in the handler", refused, len(open), r.within.Load())
				}
				if got := gaugeOf(t, r.inFlight); got != float64(test.within) {
					t.Errorf("gauge is %v", got)
				}
				time.Sleep(50*time.Millisecond - time.Nanosecond)
				synctest.Wait()
				if _, refused, open = outcomes(t, open); refused != 0 {
					t.Errorf("%d refused before 50 ms", refused)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if _, refused, open = outcomes(t, open); refused != test.waiting {
					t.Errorf("%d refused after 50 ms", refused)
				}
				close(r.release)
				synctest.Wait()
				if good, _, open := outcomes(t, open); good != test.within || len(open) != 0 {
					t.Errorf("%d succeeded, %d not at all", good, len(open))
				}
				if got := count(t, r.refused); got != float64(atOnce+test.waiting) {
					t.Errorf("%v counted as refused", got)
				}
				if got := gaugeOf(t, r.inFlight); got != 0 {
					t.Errorf("gauge is %v", got)
				}
			})
		})
	}
}

func TestInFlightWaitingCallGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newInFlightHarness(2)
		calls := r.calls(t.Context(), 3)
		time.Sleep(49 * time.Millisecond)
		r.release <- struct{}{}
		synctest.Wait()
		good, refused, open := outcomes(t, calls)
		if good != 1 || refused != 0 || len(open) != 2 || r.within.Load() != 2 {
			t.Errorf("%d succeeded, %d refused, %d not ended, %d in the handler", good, refused, len(open), r.within.Load())
		}
		// The place in the queue is free again, and the call that got in is not refused any more.
		open = append(open, r.calls(t.Context(), 1)...)
		time.Sleep(25 * time.Millisecond)
		if _, refused, open = outcomes(t, open); refused != 0 || len(open) != 3 {
			t.Errorf("%d refused, %d not ended", refused, len(open))
		}
		close(r.release)
		synctest.Wait()
		if good, _, _ := outcomes(t, open); good != 3 || count(t, r.refused) != 0 {
			t.Errorf("%d succeeded, %v refused", good, count(t, r.refused))
		}
	})
}

func TestInFlightContextEndsWhileWaiting(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(context.Context) (context.Context, context.CancelFunc)
		after time.Duration
		code  codes.Code
		cause error
	}{
		"cancelled": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(10*time.Millisecond, cancel)
				return ctx, cancel
			},
			10 * time.Millisecond, codes.Canceled, context.Canceled,
		},
		"deadline": {
			func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, 20*time.Millisecond)
			},
			20 * time.Millisecond, codes.DeadlineExceeded, context.DeadlineExceeded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newInFlightHarness(1)
				first := r.calls(t.Context(), 1)
				ctx, cancel := test.end(t.Context())
				defer cancel()
				start := time.Now()
				err := <-r.call(ctx)
				if e := asError(t, err); e.GRPCCode() != test.code || !errors.Is(err, test.cause) {
					t.Errorf("error is %+v", e)
				}
				if waited := time.Since(start); waited != test.after {
					t.Errorf("ended after %v", waited)
				}
				// No call was refused, and the slot in the queue is free again.
				second := r.calls(t.Context(), 1)
				if _, _, open := outcomes(t, second); len(open) != 1 || count(t, r.refused) != 0 {
					t.Errorf("%d wait, %v refused", len(open), count(t, r.refused))
				}
				close(r.release)
				synctest.Wait()
				if good, _, _ := outcomes(t, append(first, second...)); good != 2 {
					t.Errorf("%d succeeded", good)
				}
			})
		})
	}
}

func TestInFlightPassesPublicMethods(t *testing.T) {
	for name, test := range map[string]struct {
		method string
		passes bool
	}{
		"health":            {"/grpc.health.v1.Health/Check", true},
		"looks like health": {"/grpc.health.v10.Health/Check", false},
		"a call":            {method, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newInFlightHarness(1)
				full := r.calls(t.Context(), 2)
				got, err := r.step(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: test.method}, func(context.Context, any) (any, error) {
					if n := gaugeOf(t, r.inFlight); n != 1 {
						t.Errorf("gauge is %v", n)
					}
					return "healthy", nil
				})
				if passed := got == "healthy" && err == nil; passed != test.passes {
					t.Errorf("response %v, error %v", got, err)
				}
				close(r.release)
				synctest.Wait()
				if good, _, _ := outcomes(t, full); good != 2 {
					t.Errorf("%d succeeded", good)
				}
			})
		})
	}
}

// However a handler ends, its slot is released and its response is returned.
func TestInFlightReleasesSlot(t *testing.T) {
	want := seamerr.NotFound()
	for name, handler := range map[string]grpc.UnaryHandler{
		"response": respond("response", nil),
		"error":    respond(nil, want),
		"panic":    func(context.Context, any) (any, error) { panic("injected") },
	} {
		t.Run(name, func(t *testing.T) {
			r := newInFlightHarness(1)
			for range 3 {
				func() {
					defer func() {
						if value := recover(); (value == "injected") != (name == "panic") {
							t.Errorf("panic with %v", value)
						}
					}()
					got, err := r.step(t.Context(), nil, info(), handler)
					if (got == "response") != (name == "response") || errors.Is(err, want) != (name == "error") {
						t.Errorf("response %v, error %v", got, err)
					}
				}()
				if n := gaugeOf(t, r.inFlight); n != 0 {
					t.Fatalf("gauge is %v", n)
				}
			}
			if n := count(t, r.refused); n != 0 {
				t.Errorf("%v refused", n)
			}
		})
	}
}

// In real time and with real goroutines, so that the race detector sees what a bubble may order.
func TestInFlightConcurrently(t *testing.T) {
	const limit, crowd, each = 16, 200, 20
	inFlight := prometheus.NewGauge(prometheus.GaugeOpts{Name: "in_flight"})
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "refused"})
	step := interceptor.InFlight(limit, inFlight, refused)
	var within, most, served, rejected atomic.Int32
	var callers sync.WaitGroup
	for range crowd {
		callers.Go(func() {
			for range each {
				_, err := step(t.Context(), nil, info(), func(context.Context, any) (any, error) {
					now := within.Add(1)
					defer within.Add(-1)
					for {
						seen := most.Load()
						if now <= seen || most.CompareAndSwap(seen, now) {
							break
						}
					}
					time.Sleep(100 * time.Microsecond)
					return nil, nil
				})
				if err == nil {
					served.Add(1)
				} else {
					rejected.Add(1)
				}
			}
		})
	}
	callers.Wait()
	if most.Load() > limit {
		t.Errorf("%d calls at once", most.Load())
	}
	if served.Load() < limit || served.Load()+rejected.Load() != crowd*each {
		t.Errorf("%d served, %d refused", served.Load(), rejected.Load())
	}
	if count(t, refused) != float64(rejected.Load()) || gaugeOf(t, inFlight) != 0 {
		t.Errorf("%v counted as refused, gauge is %v", count(t, refused), gaugeOf(t, inFlight))
	}
}
