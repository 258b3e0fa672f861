package seam_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
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

// inTurn responds each request with the next handler, and from the last one on with that.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		handlers[min(int(n.Add(1)), len(handlers))-1](w, r)
	}
}

// Callers must not see that a request failed as long as one of its retries does not.
func TestRetrySucceeds(t *testing.T) {
	t.Parallel()
	overBoth(t, testRetrySucceeds)
}

func testRetrySucceeds(t *testing.T, over string) {
	t.Helper()
	lost := "EOF"
	if over == overHTTP2 {
		lost = "stream error: stream ID 1; INTERNAL_ERROR; received from peer"
	}
	// All but the end of the first response can be read, and must not get into the second.
	unreadable := responding(200, `{"client_session":{"workspace_id":"of-the-first"},"ok":yes}`, "seam-request-id", "r-1")
	good := responding(200, seamtest.Success, "seam-request-id", "r-2")
	for name, test := range map[string]struct {
		handlers []http.HandlerFunc
		attempts int
		retried  string
	}{
		"at once":         {[]http.HandlerFunc{good}, 1, "<nil>"},
		"the second time": {[]http.HandlerFunc{responding(503, ``), good}, 2, "HTTP status 503, empty body"},
		"the third time": {
			[]http.HandlerFunc{responding(503, ``), responding(500, `{"error":{"type":"t","message":"secret"}}`), good}, 3, "HTTP status 500, t",
		},
		"after a response half read": {[]http.HandlerFunc{unreadable, good}, 2, "read Seam's 200 response: ok: not JSON at byte 55"},
		"after an end": {
			[]http.HandlerFunc{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, good}, 2, "call 127.0.0.1: " + lost,
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := serveOver(t, over, inTurn(test.handlers...))
			registry := prometheus.NewRegistry()
			response, out, err := grant(t.Context(), t, newClient(t, u.URL, reportingTo(registry)))
			if err != nil {
				t.Fatal(err, err.Cause)
			}
			if !out.GetOk() || out.GetClientSession().GetToken() != "t" || out.GetClientSession().GetWorkspaceId() != "" {
				t.Errorf("response is %v", out)
			}
			if response.SeamRequestID != "r-2" || response.HTTPStatus != 200 || response.Attempts != test.attempts {
				t.Errorf("response is %+v", response)
			}
			if got := fmt.Sprint(response.RetryReason); got != test.retried {
				t.Errorf("retried because of %q, want %q", got, test.retried)
			}
			if n := u.requests.Load(); int(n) != test.attempts {
				t.Errorf("%d requests", n)
			}
			last := fmt.Sprint(test.attempts)
			if n := metric(t, registry, "attempts_total", "attempt", last, "outcome", "success"); n != 1 {
				t.Errorf("%v attempts are counted as the one that went well", n)
			}
			if n := metric(t, registry, "attempts_total"); n != float64(test.attempts) {
				t.Errorf("%v attempts are counted", n)
			}
		})
	}
}

// Once one attempt may have been applied, no later one settles it: a session that is not found may be the one that
// the first attempt deleted.
func TestOutcomesInTurn(t *testing.T) {
	t.Parallel()
	failed, limited := responding(503, ``), responding(429, ``)
	missing := responding(404, `{"error":{"type":"client_session_not_found","message":"m"}}`)
	later := responding(429, ``, "retry-after", "60")
	hangup := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for name, test := range map[string]struct {
		at       seam.Endpoint
		handlers []http.HandlerFunc
		want     result
	}{
		"deleted or not there":      {seam.Delete(), []http.HandlerFunc{failed, missing}, result{2, codes.NotFound, 404, true, false}},
		"not there at all":          {seam.Delete(), []http.HandlerFunc{limited, missing}, result{2, codes.NotFound, 404, false, false}},
		"not there to be read":      {seam.Get(), []http.HandlerFunc{failed, missing}, result{2, codes.NotFound, 404, false, false}},
		"created after all, or not": {seam.Create(), []http.HandlerFunc{limited, failed}, result{2, codes.Unknown, 503, true, true}},
		"told to wait long":         {seam.GrantAccess(), []http.HandlerFunc{hangup, later}, result{2, codes.ResourceExhausted, 429, true, false}},
		"ambiguous, then rejected":  {seam.GrantAccess(), []http.HandlerFunc{hangup, limited}, result{3, codes.ResourceExhausted, 429, true, true}},
		"three different ones":      {seam.Revoke(), []http.HandlerFunc{limited, failed, hangup}, result{3, codes.Unavailable, 503, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			u := serve(t, inTurn(test.handlers...))
			response, _, err := send(t.Context(), t, newClient(t, u.URL), seam.Call{Endpoint: test.at})
			if err == nil {
				t.Fatal("no error")
			}
			if got := (result{int(u.requests.Load()), err.GRPCCode(), err.HTTPStatus, err.OutcomeUnknown, err.NoRetry}); got != test.want {
				t.Errorf("it ends as %+v, want %+v; response %+v", got, test.want, response)
			}
		})
	}
}

// A retry is never before Seam's Retry-After, also where that is a date by another clock.
func TestRetryAfterIsKept(t *testing.T) {
	nextYear := time.Now().AddDate(1, 0, 0).UTC()
	lastYear := time.Now().AddDate(-1, 0, 0).UTC()
	in := func(date time.Time) []string {
		return []string{"date", date.Format(http.TimeFormat), "retry-after", date.Add(time.Second).Format(http.TimeFormat)}
	}
	t.Parallel() // Two seconds are waited.
	var calls sync.WaitGroup
	for name, test := range map[string]struct {
		status  int
		headers []string
	}{
		"seconds":                       {503, []string{"retry-after", "1"}},
		"seconds after 429":             {429, []string{"retry-after", "1"}},
		"seconds after 500":             {500, []string{"retry-after", "1"}},
		"seconds with a fraction":       {503, []string{"retry-after", "1.0"}},
		"seconds by a clock a year off": {503, []string{"date", nextYear.Format(http.TimeFormat), "retry-after", "1"}},
		"date":                          {503, in(time.Now().UTC())},
		"date by a clock a year ahead":  {503, in(nextYear)},
		"date by a clock a year behind": {503, in(lastYear)},
	} {
		var came seamtest.Stamps
		responses := inTurn(responding(test.status, ``, test.headers...), responding(200, seamtest.Success))
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			came.Add()
			responses(w, r)
		})
		client := newClient(t, u.URL)
		calls.Go(func() {
			if response, _, err := grant(t.Context(), t, client); err != nil || response.Attempts != 2 {
				t.Errorf("%s: response %+v, error %v", name, response, err)
			}
			if gaps := came.Gaps(); len(gaps) != 1 || gaps[0] < time.Second {
				t.Errorf("%s: the second request came after %s", name, gaps)
			}
		})
	}
	calls.Wait()
}

// A long Retry-After is passed on to the caller and not waited for here.
func TestLongRetryAfter(t *testing.T) {
	ahead := time.Now().AddDate(1, 0, 0).UTC()
	for name, test := range map[string]struct {
		status  int
		headers []string
		want    time.Duration
	}{
		"a bit too long":        {429, []string{"retry-after", "2.001"}, 2001 * time.Millisecond},
		"long":                  {503, []string{"retry-after", "60"}, time.Minute},
		"huge":                  {503, []string{"retry-after", "1e300"}, time.Hour},
		"date by the responses": {503, []string{"date", ahead.Format(http.TimeFormat), "retry-after", ahead.Add(time.Minute).Format(http.TimeFormat)}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			u := serve(t, responding(test.status, ``, test.headers...))
			began := time.Now()
			response, _, err := grant(t.Context(), t, newClient(t, u.URL))
			wantError(t, err, "", map[int]codes.Code{429: codes.ResourceExhausted, 503: codes.Unavailable}[test.status])
			if err.RetryAfter == nil || *err.RetryAfter != test.want || err.NoRetry || response.Attempts != 1 || u.requests.Load() != 1 {
				t.Errorf("response %+v, error %+v", response, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("the call was held for %s", took)
			}
		})
	}
}

// An invalid Retry-After is ignored: the request is retried after the backoff alone.
func TestInvalidRetryAfter(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "-1", "-Inf", "NaN", "soon", "1 s", "1e999", "Wed, 21 Oct 2015 07:28:00 GMT"} {
		t.Run(value, func(t *testing.T) {
			u := serve(t, inTurn(responding(429, ``, "retry-after", value), responding(200, seamtest.Success)))
			began := time.Now()
			if response, _, err := grant(t.Context(), t, newClient(t, u.URL)); err != nil || response.Attempts != 2 {
				t.Fatalf("response %+v, error %v", response, err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the call took %s", took)
			}
		})
	}
}

// A caller that cancels during a backoff does not wait for its end.
func TestCancelDuringRealBackoff(t *testing.T) {
	u := serve(t, responding(429, ``, "retry-after", "2"))
	registry := prometheus.NewRegistry()
	client := newClient(t, u.URL, reportingTo(registry))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	left := make(chan time.Time, 1)
	go func() {
		seamtest.Eventually(t, "the end of the attempt", func() bool { return metric(t, registry, "attempts_total") == 1 })
		left <- time.Now()
		cancel()
	}()
	_, _, err := grant(ctx, t, client)
	wantError(t, err, "canceled", codes.Canceled)
	if took := time.Since(<-left); took > time.Second {
		t.Errorf("the call went on for %s after its caller had left", took)
	}
	// A request that was refused with 429 was not applied.
	if err.OutcomeUnknown || u.requests.Load() != 1 {
		t.Errorf("%d requests, error %+v", u.requests.Load(), err)
	}
}

// Three attempts for each of three of the caller's would be nine. So there is one, and the caller may send the others.
func TestCallerRetries(t *testing.T) {
	t.Parallel()
	for name, upstream := range map[string]upstreamOf{
		"refused": refused, "429": body(overHTTP2, 429, ""), "500": body(overHTTP2, 500, ""), "503": body(overHTTP2, 503, "", "retry-after", "0"),
		"reset": saying("", seamtest.Reset), "unreadable": body(overHTTP2, 200, `<html>`),
		"HTTP/2 GOAWAY": goingAway(0, 0, ""),
	} {
		for _, at := range []seam.Endpoint{seam.Get(), seam.GrantAccess()} {
			t.Run(name+at.Path, func(t *testing.T) {
				url, seen := upstream(t)
				response, _, err := send(t.Context(), t, newClient(t, url), seam.Call{Endpoint: at, CallerRetries: true})
				if err == nil || err.NoRetry || response.Attempts != 1 || response.RetryReason != nil {
					t.Errorf("response %+v, error %+v", response, err)
				}
				if seen != nil && seen.Load() != 1 {
					t.Errorf("%d requests", seen.Load())
				}
			})
		}
	}
	// That the caller retries does not make it harmless to retry a creation.
	u := serve(t, responding(503, ``))
	_, _, err := send(t.Context(), t, newClient(t, u.URL), seam.Call{Endpoint: seam.Create(), CallerRetries: true})
	if wantError(t, err, "", codes.Unknown); !err.NoRetry || !err.OutcomeUnknown {
		t.Errorf("error is %+v", err)
	}
}

// When Seam fails often, retries must not double what it gets: a tenth more than there are calls, and a few for the
// start.
func TestRetriesAreBounded(t *testing.T) {
	t.Parallel() // The backoffs take two seconds.
	const calls = 300
	dice := rand.New(rand.NewPCG(1, 2)) // Under half of the attempts fail, or the circuit breaker would open.
	good, bad := responding(200, seamtest.Success), responding(503, ``)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if dice.Float64() < 0.3 { // The calls come one after the other.
			bad(w, r)
			return
		}
		good(w, r)
	})
	registry := prometheus.NewRegistry()
	client := newClient(t, u.URL, reportingTo(registry))
	failed := 0
	for range calls {
		_, _, err := get(t.Context(), t, client)
		if err == nil {
			continue
		}
		failed++
		if wantError(t, err, "", codes.Unavailable); !err.NoRetry {
			t.Errorf("a call that was not retried any more ends with %+v", err)
		}
	}
	requests, denied := int(u.requests.Load()), int(metric(t, registry, "retries_denied_total"))
	t.Logf("%d requests for %d calls; %d retries were denied and %d calls failed", requests, calls, denied, failed)
	if requests > calls*11/10+10 || requests < calls+20 {
		t.Errorf("%d requests for %d calls", requests, calls)
	}
	if denied == 0 || denied > failed {
		t.Errorf("the metric counts %d denied retries, and %d calls failed", denied, failed)
	}
}
