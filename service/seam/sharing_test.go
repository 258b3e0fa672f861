package seam

import (
	"context"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// The callers of these tests share the connections to Seam, and nothing else that one of them could use up.
func attacker() Caller { return Caller{Key: 1, Proven: true} }
func other() Caller    { return Caller{Key: 2, Proven: true} }

// edge is an edge of Seam that takes its time to respond, and counts the requests that were canceled. Over HTTP/2 these
// are streams that were reset, and Envoy closes a connection on which a client resets many.
type edge struct {
	takes    time.Duration
	canceled atomic.Int32
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // A server notices that the client left once it has read the request.
	select {
	case <-time.After(e.takes):
		_, _ = io.WriteString(w, seamtest.Success)
	case <-r.Context().Done():
		e.canceled.Add(1)
	}
}

// TestCanceledCallsCostOthersNothing shows that a caller whose calls are canceled or time out while Seam works on them
// resets no stream of the connection that all callers share, so that no server closes it.
func TestCanceledCallsCostOthersNothing(t *testing.T) {
	const takes = 120 * time.Millisecond
	seam := &edge{takes: takes}
	inBubble(t, seam.ServeHTTP, func(t *testing.T, b *bubble) {
		var attack sync.WaitGroup
		attack.Go(func() {
			for i := range 300 {
				time.Sleep(3 * time.Millisecond)
				attack.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), takes/3)
					defer cancel()
					if i%2 == 0 {
						time.AfterFunc(takes/4, cancel)
					}
					if _, _, err := send(ctx, b.Client, Call{Endpoint: Create(), Caller: attacker()}); err == nil {
						t.Error("a call of the attacker outlives its end")
					}
				})
			}
		})
		for range 10 {
			response, _, err := send(t.Context(), b.Client, Call{Endpoint: Create(), Caller: other()})
			if err != nil || response.Attempts != 1 {
				t.Errorf("another caller: response %+v, error %v", response, err)
			}
		}
		attack.Wait()
		if opened, _ := b.connections(t); opened != 1 || seam.canceled.Load() != 0 {
			t.Errorf("%d streams were reset, %d connections", seam.canceled.Load(), opened)
		}
	})
}

// TestAbandonedRequests shows how many exchanges can go on without their calls, and that they end with the response.
func TestAbandonedRequests(t *testing.T) {
	const most = 200 // Of all callers; 128 of one.
	seam := &edge{takes: 4 * time.Second}
	inBubble(t, seam.ServeHTTP, func(t *testing.T, b *bubble) {
		abandon := func(caller Caller, calls int) (refusal *seamerr.Error) {
			ctx, cancel := context.WithCancel(t.Context())
			errs := make(chan *seamerr.Error, calls)
			for range calls {
				go func() {
					_, _, err := send(ctx, b.Client, Call{Endpoint: Create(), Caller: caller})
					errs <- err
				}()
			}
			synctest.Wait()
			cancel()
			for range calls {
				if err := <-errs; err.GRPCCode() != codes.Canceled {
					refusal = err
				}
			}
			synctest.Wait()
			return refusal
		}
		want := func(abandoned, canceled int) {
			t.Helper()
			if n := b.abandoned.count.Load(); int(n) != abandoned || int(seam.canceled.Load()) != canceled {
				t.Errorf("%d exchanges are abandoned and %d canceled, want %d and %d", n, seam.canceled.Load(), abandoned, canceled)
			}
		}
		if err := abandon(attacker(), 128); err != nil {
			t.Error(err)
		}
		want(128, 0)
		err := abandon(attacker(), 1)
		wantError(t, err, "caller_rate_limited", codes.ResourceExhausted)
		if err.Cause == nil || err.RetryAfter == nil {
			t.Errorf("the refusal is %+v", err)
		}
		if err := abandon(other(), 100); err != nil {
			t.Error(err)
		}
		want(most, 28) // What is beyond the limit is canceled.
		time.Sleep(seam.takes)
		synctest.Wait()
		want(0, 28)
		if _, _, err := send(t.Context(), b.Client, Call{Endpoint: Create(), Caller: attacker()}); err != nil {
			t.Error(err, err.Cause)
		}
	}, func(config *Config) { config.MaxIdleConnections = most })
}

// TestAbandonedRequestEnds shows that a request without a response is canceled five seconds after its begin.
func TestAbandonedRequestEnds(t *testing.T) {
	overBoth(t, silent, func(t *testing.T, b *bubble) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, _, err := call(ctx, b.Client, GrantAccess())
		wantError(t, err, "upstream_timeout", codes.DeadlineExceeded)
		if took := time.Since(began); took != time.Second {
			t.Errorf("the call ended after %s", took)
		}
		for wait, want := range []int64{1, 0} {
			time.Sleep(time.Until(began.Add(5*time.Second - time.Nanosecond + time.Duration(wait))))
			synctest.Wait()
			if abandoned, inFlight := b.abandoned.count.Load(), b.metrics.inFlight.Load(); abandoned != want || inFlight != want {
				t.Errorf("after %s %d exchanges are abandoned, and %d in flight", time.Since(began), abandoned, inFlight)
			}
		}
	})
}

// TestLostConnectionIsOneFailure shows that a connection which is lost with many calls in flight opens no circuit
// breaker, and that all of these that may be sent twice succeed.
func TestLostConnectionIsOneFailure(t *testing.T) {
	const callers, each = 3, 24
	for name, lose := range map[string]func(s seamtest.Stream) seamtest.Then{
		"closed": func(seamtest.Stream) seamtest.Then { return seamtest.Close },
		"reset":  func(seamtest.Stream) seamtest.Then { return seamtest.Reset },
		"GOAWAY with an error": func(s seamtest.Stream) seamtest.Then {
			_ = s.WriteGoAway(math.MaxInt32, http2.ErrCodeEnhanceYourCalm, nil) // It may have processed all.
			return seamtest.Close
		},
	} {
		t.Run(name, func(t *testing.T) {
			var once atomic.Bool
			u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
				switch {
				case s.Connection > 1 || s.Number == 1:
					return s.Respond(seamtest.Success)
				case s.Number == 1+callers*each && once.CompareAndSwap(false, true):
					return lose(s)
				default:
					return seamtest.HangStream
				}
			}})
			client := newClient(t, u.URL)
			call(t.Context(), client, Get()) // It makes the connection.
			var calls sync.WaitGroup
			for i := range callers * each {
				calls.Go(func() {
					endpoint := []Endpoint{Get(), GrantAccess(), Create()}[i%3]
					_, _, err := send(t.Context(), client, Call{Endpoint: endpoint, Caller: Caller{Key: uint64(i % callers), Proven: true}})
					switch {
					case endpoint.Semantics != NonIdempotent && err != nil:
						t.Errorf("%s: %v, cause %v", endpoint.Path, err, err.Cause)
					case endpoint.Semantics == NonIdempotent && (err == nil || !err.OutcomeUnknown):
						t.Errorf("%s: error %v", endpoint.Path, err)
					}
				})
			}
			calls.Wait()
			for i := range 100 {
				caller := Caller{Key: uint64(i % callers), Proven: true}
				if _, _, err := send(t.Context(), client, Call{Endpoint: Create(), Caller: caller}); err != nil {
					t.Fatalf("after the loss: %v, cause %v", err, err.Cause)
				}
			}
			if left := client.budget.left(); left < 19 {
				t.Errorf("%v of 20 retries are left", left)
			}
		})
	}
}

// TestNotProcessedIsSentAgain shows that a request which Seam has certainly not processed is sent again outside of the
// retry budget, and that a connection which is closed in good order costs no call its response.
func TestNotProcessedIsSentAgain(t *testing.T) {
	const calls = 30
	for name, test := range map[string]struct {
		stream   func(seamtest.Stream) seamtest.Then
		requests int32
		// keeps is true where the connection goes on, so that there is one only.
		keeps bool
	}{
		"REFUSED_STREAM": {func(s seamtest.Stream) seamtest.Then {
			if s.Number%2 == 1 {
				return s.Reset(http2.ErrCodeRefusedStream)
			}
			return s.Respond(seamtest.Success)
		}, 2 * calls, true},
		"GOAWAY before the stream": {func(s seamtest.Stream) seamtest.Then {
			if s.Number > 1 {
				_ = s.WriteGoAway(s.ID-2, http2.ErrCodeNo, nil)
				return seamtest.KeepOpen
			}
			return s.Respond(seamtest.Success)
		}, 2*calls - 1, false},
		"GOAWAY with the stream": {func(s seamtest.Stream) seamtest.Then {
			_ = s.WriteGoAway(s.ID, http2.ErrCodeNo, nil)
			return s.Respond(seamtest.Success)
		}, calls, false}, // What comes after the GOAWAY is the response, and further calls use another connection.
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // The backoffs are waited.
			u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: test.stream})
			client := newClient(t, u.URL)
			for range calls {
				if _, out, err := call(t.Context(), client, Create()); err != nil || !out.GetOk() {
					t.Fatal(err, err.Cause)
				}
			}
			if left := client.budget.left(); left != budgetFloor {
				t.Errorf("%v of %d retries are left", left, budgetFloor)
			}
			requests, connections := u.Requests.Load(), u.Connections.Load()
			if requests != test.requests || (connections == 1) != test.keeps {
				t.Errorf("%d requests on %d connections", requests, connections)
			}
		})
	}
}

// TestDeadConnectionIsLeft shows that an upstream that hangs behind a live connection is found out by its silence, and
// that further calls use another connection. Without that they would all go the same way, each to its deadline.
func TestDeadConnectionIsLeft(t *testing.T) {
	t.Parallel() // Ten seconds are waited.
	u := seamtest.New(t, seamtest.Fault{TLS: true, Stream: func(s seamtest.Stream) seamtest.Then {
		if s.Connection == 1 && s.Number == 2 {
			return seamtest.Hang // Whatever is sent is still taken, as by a kernel whose process hangs.
		}
		return s.Respond(seamtest.Success)
	}})
	client := newClient(t, u.URL)
	if _, _, err := call(t.Context(), client, Get()); err != nil {
		t.Fatal(err, err.Cause)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // A deadline must not be what ends the attempt.
	defer cancel()
	began := time.Now()
	response, _, err := call(ctx, client, Get())
	if err != nil || response.Attempts != 2 {
		t.Fatalf("response %+v, error %v", response, err)
	}
	if took := time.Since(began); took < 8*time.Second || took > 20*time.Second {
		t.Errorf("the dead connection was left after %s", took)
	}
	if n := u.Connections.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}
