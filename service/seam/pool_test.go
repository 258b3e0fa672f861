package seam

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// age is shorter than a connection may be idle.
const age = 30 * time.Second

func changing(config *Config) { config.MaxConnectionAge = age }

// TestConnectionsAreChanged shows that a connection is used until it has reached its age, and then closed: Seam's
// addresses change.
func TestConnectionsAreChanged(t *testing.T) {
	overBoth(t, responding(200, seamtest.Success), func(t *testing.T, b *bubble) {
		for change := range 3 {
			for _, wait := range []time.Duration{0, age} { // It may be used for its age,
				time.Sleep(wait)
				if _, _, err := call(t.Context(), b.Client, GrantAccess()); err != nil {
					t.Error(err, err.Cause)
				}
				synctest.Wait()
				if opened, open := b.connections(t); opened != change+1 || open != 1 {
					t.Errorf("after %d changes %d connections were opened, and %d are open", change, opened, open)
				}
			}
			time.Sleep(time.Nanosecond) // and not for longer.
		}
	}, changing)
}

// TestChangeDoesNotCutCalls shows that a call in flight is not cut by the change, and that its connection is closed once
// the call is over or canceled.
func TestChangeDoesNotCutCalls(t *testing.T) {
	const calls = 5
	for name, test := range map[string]struct {
		// before is what Seam says while the connections change, after is what it says later.
		before, after string
		canceled      bool
	}{
		"before the response":           {``, seamtest.Success, false},
		"within the response":           {`{"ok":`, `true}`, false},
		"canceled, before the response": {``, seamtest.Success, true},
		"canceled, within the response": {`{"ok":`, `true}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			var blocking atomic.Bool
			overBoth(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				blocks := blocking.Load()
				if test.before != "" || !blocks {
					_, _ = io.WriteString(w, test.before)
					_ = http.NewResponseController(w).Flush()
				}
				select {
				case <-time.After(map[bool]time.Duration{true: 2 * age}[blocks]):
					_, _ = io.WriteString(w, test.after)
				case <-r.Context().Done():
				}
			}, func(t *testing.T, b *bubble) {
				call(t.Context(), b.Client, GrantAccess()) // The connection that calls share over HTTP/2.
				blocking.Store(true)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var running sync.WaitGroup
				for range calls {
					running.Go(func() {
						response, out, err := call(ctx, b.Client, GrantAccess())
						if test.canceled && (err == nil || err.GRPCCode() != codes.Canceled) {
							t.Errorf("a call that was canceled: %+v, error %v", response, err)
						}
						if !test.canceled && (err != nil || response.Attempts != 1 || !out.GetOk()) {
							t.Errorf("a call over the change: response %+v, %v; error %v", response, out, err)
						}
					})
				}
				synctest.Wait()
				blocking.Store(false)
				call(t.Context(), b.Client, GrantAccess()) // Over a connection that is idle when the change comes.
				busy := map[bool]int{true: calls, false: 1}[strings.HasSuffix(t.Name(), overHTTP1)]
				time.Sleep(age + time.Nanosecond)
				call(t.Context(), b.Client, GrantAccess())
				if _, open := b.connections(t); open != busy+1 {
					t.Errorf("%d connections are open; %d are those of calls in flight, one is new", open, busy)
				}
				if test.canceled {
					cancel()
				}
				running.Wait()
				time.Sleep(idleAfter)
				synctest.Wait()
				if _, open := b.connections(t); open != 1 {
					t.Errorf("%d connections are open in the end", open)
				}
			}, changing)
		})
	}
}

// TestChangeUnderLoad shows that over HTTP/1.1 connections are reused under load, also while they are replaced. Go's
// default would keep two of them.
func TestChangeUnderLoad(t *testing.T) {
	const callers, each, generations = 20, 100, 4
	const pause = generations * age / each / 2 // All connections are in use at once, and then all are idle.
	respond := responding(200, seamtest.Success)
	inBubbleOver(t, overHTTP1, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(pause)
		respond(w, r)
	}, func(t *testing.T, b *bubble) {
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range each {
					if response, _, err := call(t.Context(), b.Client, GrantAccess()); err != nil || response.Attempts != 1 {
						t.Errorf("response %+v, error %v", response, err)
					}
					time.Sleep(pause)
				}
			})
		}
		all.Wait()
		b.Close()
		synctest.Wait()
		// Those that are dialled for nothing, while another becomes idle, are few.
		if opened, open := b.connections(t); opened > 2*callers*generations || open != 0 {
			t.Errorf("%d connections for %d calls at a time, %d are open in the end", opened, callers, open)
		}
	}, changing)
}
