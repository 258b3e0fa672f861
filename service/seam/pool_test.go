package seam_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

const age = 200 * time.Millisecond

func changing(config *seam.Config) { config.MaxConnectionAge = age }

// closing is an upstream that counts the connections which were closed. They are the client's to close: its own would
// stay open for longer than any test takes.
func closing(t *testing.T, h2 bool, handler http.HandlerFunc) (u *upstream, closed *atomic.Int32) {
	t.Helper()
	u, closed = &upstream{}, &atomic.Int32{}
	u.Server = u.unstarted(handler)
	counted := u.Config.ConnState
	u.Config.ConnState = func(conn net.Conn, state http.ConnState) {
		counted(conn, state)
		if state == http.StateClosed {
			closed.Add(1)
		}
	}
	u.EnableHTTP2 = h2
	u.StartTLS()
	t.Cleanup(u.Close)
	return u, closed
}

// untilChanged makes calls one after the other until one goes over a new connection, and says when that one began.
func untilChanged(t *testing.T, u *upstream, client *seam.Client) (began time.Time) {
	t.Helper()
	before := u.connections.Load()
	seamtest.Eventually(t, "a new connection", func() bool {
		began = time.Now()
		if _, _, err := grant(t.Context(), t, client); err != nil {
			t.Error(err, err.Cause)
		}
		return u.connections.Load() > before
	})
	return began
}

// Seam's addresses change, so no connection is used for long, and those that are not used any more are closed.
func TestConnectionsAreChanged(t *testing.T) {
	t.Parallel() // Each of six connections has to come of age.
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, closed := closing(t, h2, responding(200, seamtest.Success))
			registry := prometheus.NewRegistry()
			client := newClient(t, u.URL, changing, reportingTo(registry))
			made := time.Now()
			grant(t.Context(), t, client)
			for change := range int32(3) {
				next := untilChanged(t, u, client)
				if lived := time.Since(made); lived < age {
					t.Errorf("the connection was changed after %s", lived)
				}
				made = next
				seamtest.Eventually(t, "the old connection to be closed", func() bool { return closed.Load() == change+1 })
			}
			if made, counted := u.connections.Load(), metric(t, registry, "connections_total"); counted != float64(made) {
				t.Errorf("%d connections were made, %v are counted", made, counted)
			}
			if n := u.connections.Load(); n != 4 {
				t.Errorf("%d connections for 3 changes", n)
			}
		})
	}
}

// A call in flight is not cut by the change, and its connection is closed once the call is over.
func TestChangeDoesNotCutCalls(t *testing.T) {
	t.Parallel()
	const calls = 5
	for name, test := range map[string]struct {
		h2 bool
		// busy is how many connections as many calls take.
		busy int32
		// before is what the upstream says while the connections change, after is what it says later.
		before, after string
	}{
		"HTTP/1.1, before the response": {false, calls, ``, seamtest.Success},
		"HTTP/1.1, within the response": {false, calls, `{"ok":`, `true}`},
		"HTTP/2, before the response":   {true, 1, ``, seamtest.Success},
		"HTTP/2, within the response":   {true, 1, `{"ok":`, `true}`},
	} {
		t.Run(name, func(t *testing.T) {
			var blocking atomic.Bool
			release, inside := make(chan struct{}), make(chan struct{}, calls)
			u, closed := closing(t, test.h2, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if test.before != "" || !blocking.Load() {
					_, _ = io.WriteString(w, test.before)
					_ = http.NewResponseController(w).Flush()
				}
				if blocking.Load() {
					inside <- struct{}{}
					<-release
				}
				_, _ = io.WriteString(w, test.after)
			})
			client := newClient(t, u.URL, changing)
			grant(t.Context(), t, client) // The connection that calls share over HTTP/2.
			blocking.Store(true)
			var running sync.WaitGroup
			for range calls {
				running.Go(func() {
					response, out, err := grant(t.Context(), t, client)
					if err != nil || response.Attempts != 1 || !out.GetOk() {
						t.Errorf("a call over the change: response %+v, %v; error %v", response, out, err)
					}
				})
			}
			for range calls {
				<-inside
			}
			blocking.Store(false)
			grant(t.Context(), t, client) // Over a connection that is idle when the change comes.
			old := u.connections.Load()
			untilChanged(t, u, client)
			if n := closed.Load(); n > old-test.busy {
				t.Errorf("%d of %d connections were closed, and %d are those of calls in flight", n, old, test.busy)
			}
			close(release)
			running.Wait()
			seamtest.Eventually(t, "the connections that were busy to be closed", func() bool { return closed.Load() >= old })
		})
	}
}

// A call that is cancelled after the change leaks no connection either.
func TestCallsCanceledAfterChange(t *testing.T) {
	t.Parallel()
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const calls = 5
			var blocking atomic.Bool
			inside := make(chan struct{}, calls)
			u, closed := closing(t, h2, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if blocking.Load() {
					inside <- struct{}{}
					<-r.Context().Done()
					return
				}
				_, _ = io.WriteString(w, seamtest.Success)
			})
			client := newClient(t, u.URL, changing)
			grant(t.Context(), t, client)
			blocking.Store(true)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var running sync.WaitGroup
			for range calls {
				running.Go(func() {
					if _, _, err := grant(ctx, t, client); err == nil || err.GRPCCode() != codes.Canceled {
						t.Errorf("error is %v", err)
					}
				})
			}
			for range calls {
				<-inside
			}
			blocking.Store(false)
			grant(t.Context(), t, client)
			old := u.connections.Load()
			untilChanged(t, u, client)
			cancel()
			running.Wait()
			seamtest.Eventually(t, "the old connections to be closed", func() bool { return closed.Load() >= old })
		})
	}
}

// A client without a maximum age keeps its connection.
func TestConnectionsWithoutAge(t *testing.T) {
	t.Parallel() // It goes on for longer than connections live.
	u, closed := closing(t, false, responding(200, seamtest.Success))
	client := newClient(t, u.URL)
	for end := time.Now().Add(2 * age); time.Now().Before(end); {
		grant(t.Context(), t, client)
	}
	if u.connections.Load() != 1 || closed.Load() != 0 {
		t.Errorf("%d connections, %d of them closed", u.connections.Load(), closed.Load())
	}
}

// Under load, connections are reused, also while they are replaced.
func TestChangeUnderLoad(t *testing.T) {
	const callers = 20
	u, closed := closing(t, false, responding(200, seamtest.Success))
	client := newClient(t, u.URL, changing)
	ended := make(chan int, callers)
	end := time.Now().Add(5 * age)
	for range callers {
		go func() {
			calls := 0
			for ; time.Now().Before(end); calls++ {
				if response, _, err := grant(t.Context(), t, client); err != nil || response.Attempts != 1 {
					t.Errorf("response %+v, error %v", response, err)
				}
			}
			ended <- calls
		}()
	}
	calls := 0
	for range callers {
		calls += <-ended
	}
	// At most six generations lived, each with a connection for each caller at most; those dialled for nothing are few.
	if n := u.connections.Load(); n > 2*6*callers || int(n) > calls {
		t.Errorf("%d connections for %d calls", n, calls)
	}
	client.Close()
	seamtest.Eventually(t, "all connections to be closed", func() bool { return closed.Load() == u.connections.Load() })
}
