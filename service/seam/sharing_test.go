package seam_test

import (
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// The callers of these tests share the connections to Seam, and nothing else that one of them could use up.
func attacker() seam.Caller { return seam.Caller{Key: 1, Proven: true} }
func other() seam.Caller    { return seam.Caller{Key: 2, Proven: true} }

// strictEdge is an edge of Seam that closes a connection on which a client has reset too many streams, as Envoy does by
// default. Its responses take a while.
func strictEdge(t *testing.T, takes time.Duration) (u *upstream, resets *atomic.Int32) {
	t.Helper()
	const mostResets = 50
	type connKey struct{}
	u, resets = &upstream{}, &atomic.Int32{}
	var of sync.Map // The resets of each connection.
	u.Server = u.unstarted(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-time.After(takes):
			_, _ = io.WriteString(w, seamtest.Success)
		case <-r.Context().Done():
			resets.Add(1)
			conn, _ := r.Context().Value(connKey{}).(net.Conn)
			count, _ := of.LoadOrStore(conn, &atomic.Int32{})
			if count.(*atomic.Int32).Add(1) > mostResets {
				_ = conn.Close()
			}
		}
	})
	u.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	u.EnableHTTP2 = true
	u.StartTLS()
	t.Cleanup(u.Close)
	return u, resets
}

// TestCanceledCallsCostOthersNothing shows that a caller whose calls are canceled or time out while Seam works on them
// resets no stream of the connection that all callers share, so that no server closes it.
func TestCanceledCallsCostOthersNothing(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 40*time.Millisecond)
		},
		"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(40*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, resets := strictEdge(t, 120*time.Millisecond)
			client := newClient(t, u.URL)
			send(t.Context(), t, client, seam.Call{Endpoint: seam.Get(), Caller: other()}) // It makes the connection.
			connections := u.connections.Load()
			var attack sync.WaitGroup
			attack.Go(func() {
				for range 300 {
					time.Sleep(3 * time.Millisecond)
					attack.Go(func() {
						ctx, cancel := end(t.Context())
						defer cancel()
						if _, _, err := send(ctx, t, client, seam.Call{Endpoint: seam.Create(), Caller: attacker()}); err == nil {
							t.Error("a call of the attacker outlives its end")
						}
					})
				}
			})
			for range 10 {
				for _, endpoint := range []seam.Endpoint{seam.Create(), seam.Get()} {
					response, _, err := send(t.Context(), t, client, seam.Call{Endpoint: endpoint, Caller: other()})
					if err != nil || response.Attempts != 1 {
						t.Errorf("another caller: response %+v, error %v", response, err)
					}
				}
			}
			attack.Wait()
			if n := resets.Load(); n > 0 {
				t.Errorf("%d streams were reset", n)
			}
			if n := u.connections.Load(); n != connections {
				t.Errorf("%d connections, and %d before the attack", n, connections)
			}
		})
	}
}

// TestAbandonedRequests shows how many exchanges can go on without their calls, and when they end.
func TestAbandonedRequests(t *testing.T) {
	t.Parallel()
	const most = 200 // Of all callers; 128 of one.
	var reached, left atomic.Int32
	respond := make(chan struct{})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		reached.Add(1)
		select {
		case <-respond:
			_, _ = io.WriteString(w, seamtest.Success)
		case <-r.Context().Done():
			left.Add(1)
		}
	})
	registry := prometheus.NewRegistry()
	client := newClient(t, u.URL, reportingTo(registry), func(config *seam.Config) { config.MaxIdleConnections = most })
	abandon := func(caller seam.Caller, calls int32) *seamerr.Error {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var refusal atomic.Pointer[seamerr.Error]
		var ended sync.WaitGroup
		before := reached.Load()
		for range calls {
			ended.Go(func() {
				if _, _, err := send(ctx, t, client, seam.Call{Endpoint: seam.Create(), Caller: caller}); err.GRPCCode() != codes.Canceled {
					refusal.Store(err)
				}
			})
		}
		seamtest.Eventually(t, "the requests to arrive", func() bool { return refusal.Load() != nil || reached.Load() == before+calls })
		cancel()
		ended.Wait()
		return refusal.Load()
	}
	count := func() float64 { return metric(t, registry, "abandoned") }

	if err := abandon(attacker(), 128); err != nil || count() != 128 {
		t.Fatalf("%v exchanges are abandoned, error %v", count(), err)
	}
	err := abandon(attacker(), 1)
	wantError(t, err, "caller_rate_limited", codes.ResourceExhausted)
	if err.Cause == nil || err.RetryAfter == nil {
		t.Errorf("the refusal is %+v", err)
	}
	if err := abandon(other(), 100); err != nil || count() != most {
		t.Errorf("%v exchanges are abandoned, error %v", count(), err)
	}
	seamtest.Eventually(t, "what is beyond the limit to be canceled", func() bool { return left.Load() == 28 })

	close(respond)
	seamtest.Eventually(t, "the exchanges to end", func() bool { return count() == 0 && metric(t, registry, "in_flight") == 0 })
	if _, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create(), Caller: attacker()}); err != nil {
		t.Error(err, err.Cause)
	}
	if n := left.Load(); n != 28 {
		t.Errorf("%d requests were canceled", n)
	}
}

// TestAbandonedRequestEnds shows that a request without a response is canceled some seconds after its call.
func TestAbandonedRequestEnds(t *testing.T) {
	t.Parallel()
	overBoth(t, func(t *testing.T, over string) {
		t.Helper()
		t.Parallel()
		left := make(chan struct{})
		u := serveOver(t, over, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // A server notices that the client left once it has read the request.
			<-r.Context().Done()
			close(left)
		})
		registry := prometheus.NewRegistry()
		client := newClient(t, u.URL, reportingTo(registry))
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, _, err := grant(ctx, t, client)
		wantError(t, err, "upstream_timeout", codes.DeadlineExceeded)
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the call ended after %s", took)
		}
		<-left
		if took := time.Since(began); took < 5*time.Second {
			t.Errorf("the request was canceled after %s", took)
		}
		seamtest.Eventually(t, "the exchange to end", func() bool {
			return metric(t, registry, "abandoned") == 0 && metric(t, registry, "in_flight") == 0
		})
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
			registry := prometheus.NewRegistry()
			client := newClient(t, u.URL, reportingTo(registry))
			send(t.Context(), t, client, seam.Call{Endpoint: seam.Get(), Caller: other()}) // It makes the connection.
			var calls sync.WaitGroup
			for i := range callers * each {
				calls.Go(func() {
					endpoint := []seam.Endpoint{seam.Get(), seam.GrantAccess(), seam.Create()}[i%3]
					caller := seam.Caller{Key: uint64(i % callers), Proven: true}
					_, _, err := send(t.Context(), t, client, seam.Call{Endpoint: endpoint, Caller: caller})
					switch {
					case endpoint.Semantics != seam.NonIdempotent && err != nil:
						t.Errorf("%s: %v, cause %v", endpoint.Path, err, err.Cause)
					case endpoint.Semantics == seam.NonIdempotent && (err == nil || !err.OutcomeUnknown):
						t.Errorf("%s: error %v", endpoint.Path, err)
					}
				})
			}
			calls.Wait()
			for i := range 100 {
				caller := seam.Caller{Key: uint64(i % callers), Proven: true}
				if _, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create(), Caller: caller}); err != nil {
					t.Fatalf("after the loss: %v, cause %v", err, err.Cause)
				}
			}
			if left := metric(t, registry, "retry_budget"); left < 19 {
				t.Errorf("%v of 20 retries are left", left)
			}
		})
	}
}

// TestStreamErrorsAreFailuresEach shows that the errors of streams on a connection that goes on count each.
func TestStreamErrorsAreFailuresEach(t *testing.T) {
	for name, stream := range map[string]func(seamtest.Stream) seamtest.Then{
		"reset":             func(s seamtest.Stream) seamtest.Then { return s.Reset(http2.ErrCodeInternal) },
		"reset in the body": func(s seamtest.Stream) seamtest.Then { s.Head("200"); return s.Reset(http2.ErrCodeInternal) },
	} {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, seamtest.New(t, seamtest.Fault{TLS: true, Stream: stream}).URL)
			var last *seamerr.Error
			for range 22 {
				_, _, last = send(t.Context(), t, client, seam.Call{Endpoint: seam.Create(), Caller: attacker()})
			}
			wantError(t, last, "upstream_circuit_open", codes.Unavailable)
		})
	}
}

// TestNotProcessedIsSentAgain shows that a request which Seam has certainly not processed is sent again outside of the
// retry budget.
func TestNotProcessedIsSentAgain(t *testing.T) {
	for name, stream := range map[string]func(seamtest.Stream) seamtest.Then{
		"REFUSED_STREAM": func(s seamtest.Stream) seamtest.Then {
			if s.Number%2 == 1 {
				return s.Reset(http2.ErrCodeRefusedStream)
			}
			return s.Respond(seamtest.Success)
		},
		"GOAWAY": func(s seamtest.Stream) seamtest.Then {
			if s.Number > 1 {
				_ = s.WriteGoAway(s.ID-2, http2.ErrCodeNo, nil)
				return seamtest.KeepOpen
			}
			return s.Respond(seamtest.Success)
		},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			client := newClient(t, seamtest.New(t, seamtest.Fault{TLS: true, Stream: stream}).URL, reportingTo(registry))
			t.Parallel()
			for range 30 {
				if _, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create()}); err != nil {
					t.Fatal(err, err.Cause)
				}
			}
			if left := metric(t, registry, "retry_budget"); left != 20 {
				t.Errorf("%v of 20 retries are left", left)
			}
		})
	}
}

// TestOneCallerLeavesRetriesForOthers shows that a caller whose calls fail cannot use up the retries of the others.
func TestOneCallerLeavesRetriesForOthers(t *testing.T) {
	var fails atomic.Bool
	fails.Store(true)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == seam.Get().Path || fails.CompareAndSwap(true, false) {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.WriteString(w, seamtest.Success)
	})
	client := newClient(t, u.URL)
	for range 30 {
		send(t.Context(), t, client, seam.Call{Endpoint: seam.Get(), Caller: attacker()})
	}
	for range 10 {
		fails.Store(true)
		if _, _, err := send(t.Context(), t, client, seam.Call{Endpoint: seam.Create(), Caller: other()}); err != nil {
			t.Fatal(err, err.Cause)
		}
	}
}
