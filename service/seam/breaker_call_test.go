package seam

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// TestWhatOpensTheBreaker shows that it opens because Seam fails, and not because callers are wrong, too many, or gone.
func TestWhatOpensTheBreaker(t *testing.T) {
	const envelope = `{"error":{"type":"x","message":"x"},"ok":false}`
	// Over HTTP/2, what ends is one stream of a connection that goes on, which is a failure each.
	resetInBody := func(w http.ResponseWriter, r *http.Request) {
		responding(200, `{`)(w, r)
		_ = http.NewResponseController(w).Flush()
		hangUp(w, r)
	}
	for name, test := range map[string]struct {
		seam     http.HandlerFunc
		deadline time.Duration
		opens    bool
	}{
		"500":                   {responding(500, ``), time.Minute, true},
		"501":                   {responding(501, ``), time.Minute, true},
		"502":                   {responding(502, envelope), time.Minute, true},
		"503":                   {responding(503, envelope), time.Minute, true},
		"504":                   {responding(504, envelope), time.Minute, true},
		"reset":                 {hangUp, time.Minute, true},
		"reset in the body":     {resetInBody, time.Minute, true},
		"no connection":         {nil, time.Minute, true},
		"truncated response":    {responding(200, `{`, "Content-Length", "99"), time.Minute, true},
		"no response in 5 s":    {silent, 5 * time.Second, true},
		"no response in 9.9 s":  {silent, 9900 * time.Millisecond, true},
		"no response in 60 s":   {silent, time.Minute, true},
		"500 with the envelope": {responding(500, envelope), time.Minute, false},
		"501 with the envelope": {responding(501, envelope), time.Minute, false},
		"400":                   {responding(400, ``), time.Minute, false},
		"404":                   {responding(404, ``), time.Minute, false},
		"429":                   {responding(429, ``), time.Minute, false},
		"redirect":              {responding(307, ``), time.Minute, false},
		"unreadable response":   {responding(200, `<html>`), time.Minute, false},
		"no response in 4.9 s":  {silent, 4900 * time.Millisecond, false},
		"canceled after 20 s":   {silent, -20 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, test.seam, func(t *testing.T, b *bubble) {
				if test.seam == nil {
					b.pool.current.Load().DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
				}
				b.breakers.record(Caller{}, time.Now(), breakerFailure, nil) // A caller has a breaker from its first failure on.
				var calls sync.WaitGroup
				for range breakerFailures {
					calls.Go(func() {
						ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(max(test.deadline, 0), time.Minute))
						defer cancel()
						if test.deadline < 0 { // The caller leaves.
							time.AfterFunc(-test.deadline, cancel)
						}
						if _, _, err := call(ctx, b.Client, Create()); err == nil {
							t.Error("no error")
						}
					})
				}
				calls.Wait()
				if open := b.breakers.callersCutOff() == 1; open != test.opens {
					t.Errorf("it is open: %v", open)
				}
			})
		})
	}
}

// TestOutage shows that while Seam fails, callers get their error at once and nothing is sent to Seam. When Seam is well
// again, so is the service.
func TestOutage(t *testing.T) {
	fails := slices.Repeat([]http.HandlerFunc{responding(503, ``)}, breakerFailures)
	inBubble(t, inTurn(append(fails, responding(200, seamtest.Success))...), func(t *testing.T, b *bubble) {
		for range breakerFailures - 1 {
			call(t.Context(), b.Client, Create())
		}
		// The breaker opens during this call, which could be retried.
		response, _, err := call(t.Context(), b.Client, GrantAccess())
		if response.Attempts != 1 || err.HTTPStatus != 503 || err.Type != "" || !err.NoRetry || !err.OutcomeUnknown {
			t.Errorf("response %+v, error %+v", response, err)
		}
		own, _ := b.breakers.own.Get(0)
		refused := time.Now()
		for range 1000 {
			response, _, err := call(t.Context(), b.Client, GrantAccess())
			if response.Attempts != 0 || err.Type != "upstream_circuit_open" || err.GRPCCode() != codes.Unavailable ||
				err.HTTPStatus != 503 || err.NoRetry || err.OutcomeUnknown || *err.RetryAfter != 5*time.Second-time.Since(own.changed) {
				t.Fatalf("response %+v, error %+v", response, err)
			}
		}
		if n, _ := b.requests(); n != breakerFailures || time.Since(refused) != 0 {
			t.Errorf("calls wait %s for their error, and Seam gets %d requests", time.Since(refused), n)
		}
		// Refused calls make no room for retries, which would meet Seam when it has just come back.
		if left := b.budget.left(); left >= budgetFloor {
			t.Errorf("%v retries may be sent", left)
		}
		time.Sleep(5 * time.Second)
		for range breakerProbes {
			if _, _, err := call(t.Context(), b.Client, Create()); err != nil {
				t.Error(err)
			}
		}
		if b.breakers.callersCutOff() != 0 {
			t.Error("the breaker stays open")
		}
	})
}

// TestPanicsDoNotJamTheBreaker shows that a panic during an attempt takes no probe, and no connection, for good.
func TestPanicsDoNotJamTheBreaker(t *testing.T) {
	inBubble(t, responding(200, seamtest.Success), func(t *testing.T, b *bubble) {
		for range breakerFailures {
			b.breakers.record(Caller{}, time.Now(), breakerFailure, nil)
		}
		time.Sleep(probeTime)
		well := b.pool.current.Load()
		broken := b.pool.next()
		broken.Proxy = func(*http.Request) (*url.URL, error) { panic("in the transport") }
		b.pool.current.Store(broken)
		if !panics(func() { call(t.Context(), b.Client, Create()) }) || broken.calls.Load() != 0 {
			t.Errorf("no panic, or the pool counts %d calls in flight", broken.calls.Load())
		}
		b.pool.current.Store(well)
		// A response that is to be read into nothing.
		intoNothing := Call{Endpoint: Create(), In: &clientsessionv1.CreateRequest{}}
		if !panics(func() { _, _ = b.Do(t.Context(), &intoNothing) }) {
			t.Error("no panic")
		}
		time.Sleep(probeTime)
		for range breakerProbes {
			if _, _, err := call(t.Context(), b.Client, Create()); err != nil {
				t.Fatal(err)
			}
		}
		if b.breakers.callersCutOff() != 0 {
			t.Error("the breaker stays open")
		}
	})
}

func panics(f func()) (did bool) {
	defer func() { did = recover() != nil }()
	f()
	return false
}
