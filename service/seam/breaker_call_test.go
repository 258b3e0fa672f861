package seam

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// replying returns a handler that gives one response.
func replying(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cutOff is 1 if the one caller of these tests is cut off, and 0 if not.
func (b bubble) cutOff() float64 { return b.breakers.callersCutOff() }

// TestWhatOpensTheBreaker shows that it opens because Seam fails, and not because callers are wrong, too many, or gone.
func TestWhatOpensTheBreaker(t *testing.T) {
	const envelope = `{"error":{"type":"x","message":"x"},"ok":false}`
	lost := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	truncated := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "99")
		replying(200, `{`)(w, r)
	}
	for name, test := range map[string]struct {
		seam     http.HandlerFunc
		deadline time.Duration
		opens    bool
	}{
		"500":                   {replying(500, ``), time.Minute, true},
		"501":                   {replying(501, ``), time.Minute, true},
		"502":                   {replying(502, envelope), time.Minute, true},
		"503":                   {replying(503, envelope), time.Minute, true},
		"504":                   {replying(504, envelope), time.Minute, true},
		"connection lost":       {lost, time.Minute, true},
		"no connection":         {nil, time.Minute, true},
		"truncated response":    {truncated, time.Minute, true},
		"no response in 5 s":    {silent, 5 * time.Second, true},
		"no response in 9.9 s":  {silent, 9900 * time.Millisecond, true},
		"no response in 60 s":   {silent, time.Minute, true},
		"500 with the envelope": {replying(500, envelope), time.Minute, false},
		"501 with the envelope": {replying(501, envelope), time.Minute, false},
		"400":                   {replying(400, ``), time.Minute, false},
		"404":                   {replying(404, ``), time.Minute, false},
		"429":                   {replying(429, ``), time.Minute, false},
		"redirect":              {replying(307, ``), time.Minute, false},
		"unreadable response":   {replying(200, `<html>`), time.Minute, false},
		"no response in 4.9 s":  {silent, 4900 * time.Millisecond, false},
		"canceled after 20 s":   {silent, -20 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.seam, func(t *testing.T, b bubble) {
				if test.seam == nil {
					b.pool.current.Load().DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
				}
				b.breakers.record(Caller{}, time.Now(), breakerFailure) // A caller has a breaker from its first failure on.
				var calls sync.WaitGroup
				for range breakerFailures {
					calls.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(max(test.deadline, 0), time.Minute))
						defer cancel()
						if test.deadline < 0 { // The caller leaves.
							time.AfterFunc(-test.deadline, cancel)
						}
						if err := b.once(ctx); err == nil {
							t.Error("no error")
						}
					})
				}
				calls.Wait()
				if open := b.cutOff() == 1; open != test.opens {
					t.Errorf("it is open: %v", open)
				}
			})
		})
	}
}

// TestOutage shows that while Seam fails, callers get their error at once and nothing is sent to Seam. When Seam is well
// again, so is the service.
func TestOutage(t *testing.T) {
	var well atomic.Bool
	var requests atomic.Int32
	inBubble(t, func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1); well.Load() {
			replying(200, seamtest.Success)(w, r)
			return
		}
		replying(503, ``)(w, r)
	}, func(t *testing.T, b bubble) {
		for range breakerFailures - 1 {
			b.once(t.Context())
		}
		// The breaker opens during this call, which could be retried.
		response, err := b.call(t.Context(), GrantAccess())
		if response.Attempts != 1 || err.HTTPStatus != 503 || err.Type != "" || !err.NoRetry || !err.OutcomeUnknown {
			t.Errorf("response %+v, error %+v", response, err)
		}
		own, _ := b.breakers.own.Get(0)
		refused := time.Now()
		for range 1000 {
			response, err := b.call(t.Context(), GrantAccess())
			if response.Attempts != 0 || err.Type != "upstream_circuit_open" || err.GRPCCode() != codes.Unavailable ||
				err.HTTPStatus != 503 || err.NoRetry || err.OutcomeUnknown || *err.RetryAfter != 5*time.Second-time.Since(own.changed) {
				t.Fatalf("response %+v, error %+v", response, err)
			}
		}
		if took, n := time.Since(refused), requests.Load(); took != 0 || n != breakerFailures {
			t.Errorf("calls wait %s for their error, and Seam gets %d requests", took, n)
		}
		// Refused calls make no room for retries, which would meet Seam when it has just come back.
		if left := b.budget.left(); left >= budgetFloor {
			t.Errorf("%v retries may be sent", left)
		}
		well.Store(true)
		time.Sleep(5 * time.Second)
		for range breakerProbes {
			if err := b.once(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if b.cutOff() != 0 {
			t.Error("the breaker stays open")
		}
	})
}

// TestPanicsDoNotJamTheBreaker shows that a panic during an attempt takes no probe, and no connection, for good.
func TestPanicsDoNotJamTheBreaker(t *testing.T) {
	inBubble(t, replying(200, seamtest.Success), func(t *testing.T, b bubble) {
		for range breakerFailures {
			b.breakers.record(Caller{}, time.Now(), breakerFailure)
		}
		time.Sleep(probeTime)
		well := b.pool.current.Load()
		broken := b.pool.next()
		broken.Proxy = func(*http.Request) (*url.URL, error) { panic("in the transport") }
		b.pool.current.Store(broken)
		if !panics(func() { _ = b.once(t.Context()) }) || broken.calls.Load() != 0 {
			t.Errorf("no panic, or the pool counts %d calls in flight", broken.calls.Load())
		}
		b.pool.current.Store(well)
		// A response that is to be read into nothing.
		call := Call{Endpoint: Create(), In: &clientsessionv1.CreateRequest{}}
		if !panics(func() { _, _ = b.Do(t.Context(), &call) }) {
			t.Error("no panic")
		}
		time.Sleep(probeTime)
		for range breakerProbes {
			if err := b.once(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if b.cutOff() != 0 {
			t.Error("the breaker stays open")
		}
	})
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
