package seam_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/clientsession/client-session-service/service/seam"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// create makes a call that is not retried, so that the attempts are as many as the calls.
func create(ctx context.Context, t *testing.T, client *seam.Client) string {
	t.Helper()
	_, _, err := send(ctx, t, client, seam.Call{Endpoint: seam.Create()})
	if err == nil {
		return "ok"
	}
	if err.Type == "upstream_circuit_open" {
		return "refused"
	}
	return "failed"
}

// What opens the breaker is that Seam fails, and not that callers are wrong, too many, or gone.
func TestWhatOpensTheBreaker(t *testing.T) {
	t.Parallel()
	good := responding(200, seamtest.Success)
	for name, test := range map[string]struct {
		bad   http.HandlerFunc
		opens bool
	}{
		"500":                  {responding(500, ``), true},
		"501":                  {responding(501, ``), true},
		"500 in Seam's words":  {responding(500, `{"error":{"type":"internal_server_error","message":"x"},"ok":false}`), false},
		"501 in Seam's words":  {responding(501, `{"error":{"type":"x","message":"x"},"ok":false}`), false},
		"502":                  {responding(502, ``), true},
		"503 in Seam's words":  {responding(503, `{"error":{"type":"x","message":"x"},"ok":false}`), true},
		"504 in Seam's words":  {responding(504, `{"error":{"type":"x","message":"x"},"ok":false}`), true},
		"503":                  {responding(503, ``), true},
		"504":                  {responding(504, ``), true},
		"end without response": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"truncated response":   {responding(200, `{`, "content-length", "99"), true},
		"400":                  {responding(400, ``), false},
		"401":                  {responding(401, ``), false},
		"404":                  {responding(404, ``), false},
		"429":                  {responding(429, ``, "retry-after", "60"), false},
		"redirect":             {responding(307, ``), false},
		"unreadable response":  {responding(200, `<html>`), false},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if n.Add(1)%2 == 0 { // Every other one: exactly half of them fail.
					test.bad(w, r)
					return
				}
				good(w, r)
			})
			registry := prometheus.NewRegistry()
			client := newClient(t, u.URL, reportingTo(registry))
			for i := range 22 { // A caller's circuit counts from its first failure on.
				if how := create(t.Context(), t, client); how == "refused" {
					t.Fatalf("attempt %d is refused already", i+1)
				}
			}
			how, state := create(t.Context(), t, client), metric(t, registry, "callers_cut_off")
			if test.opens && (how != "refused" || state != 1 || u.requests.Load() != 22) {
				t.Errorf("after 11 of 22 failed, a call is %s, the state is %v and %d requests came", how, state, u.requests.Load())
			}
			if !test.opens && (how == "refused" || state != 0) {
				t.Errorf("after 11 of 22 responses that were no failures, a call is %s, the state is %v", how, state)
			}
		})
	}
	t.Run("connection refused", func(t *testing.T) {
		client := newClient(t, "http://"+seamtest.Refused(t))
		for range 20 {
			grantOnce(t.Context(), t, client)
		}
		if how := create(t.Context(), t, client); how != "refused" {
			t.Errorf("a call is %s", how)
		}
	})
	t.Run("less than half", func(t *testing.T) {
		var n atomic.Int32
		bad := responding(500, ``)
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1)%5 < 2 {
				bad(w, r)
				return
			}
			good(w, r)
		})
		client := newClient(t, u.URL)
		for i := range 200 {
			if how := create(t.Context(), t, client); how == "refused" {
				t.Fatalf("call %d is refused", i)
			}
		}
	})
}

// Callers that cancel or that have little time say nothing about Seam, be they as many as they like.
func TestImpatientCallersDoNotOpenTheBreaker(t *testing.T) {
	u := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	for name, impatient := range map[string]func() (context.Context, context.CancelFunc){
		"short deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		},
		"canceled": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			client := newClient(t, u.URL, reportingTo(registry))
			var calls sync.WaitGroup
			for range 60 {
				calls.Go(func() {
					ctx, cancel := impatient()
					defer cancel()
					if how := create(ctx, t, client); how != "failed" {
						t.Errorf("a call is %s", how)
					}
				})
			}
			calls.Wait()
			if state := metric(t, registry, "callers_cut_off"); state != 0 {
				t.Errorf("the state is %v", state)
			}
			if n := metric(t, registry, "attempts_total", "outcome", "canceled"); n != 60 {
				t.Errorf("%v attempts are counted as canceled", n)
			}
		})
	}
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// changes returns the lines that the breaker wrote, in short.
func (j *journal) changes(t *testing.T) []string {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	var changes []string
	for line := range strings.Lines(j.text.String()) {
		var read struct{ Level, Msg, Host, From, To string }
		if err := json.Unmarshal([]byte(line), &read); err != nil || read.Msg != "circuit breaker" {
			t.Errorf("line %s", line)
		}
		if !strings.HasPrefix(read.Host, "127.0.0.1:") {
			t.Errorf("the line names the host %q", read.Host)
		}
		changes = append(changes, read.Level+" "+read.From+" to "+read.To)
	}
	return changes
}

// While Seam fails, callers get their response at once, Seam is left alone, and the operator can see it. When Seam is
// well again, so is the service.
func TestOutage(t *testing.T) {
	t.Parallel() // Five seconds are waited.
	var well atomic.Bool
	good, bad := responding(200, seamtest.Success), responding(503, ``)
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if well.Load() {
			good(w, r)
			return
		}
		bad(w, r)
	})
	var log journal
	registry := prometheus.NewRegistry()
	client := newClient(t, u.URL, reportingTo(registry), func(c *seam.Config) { c.Logger = slog.New(slog.NewJSONHandler(&log, nil)) })
	// Twenty failures open it, and more where a busy machine takes so long that the first are forgotten.
	seamtest.Eventually(t, "the breaker opens", func() bool { return create(t.Context(), t, client) == "refused" })
	opened, asked := time.Now(), u.requests.Load()
	if asked < 20 {
		t.Errorf("the breaker opens after %d requests", asked)
	}

	const calls = 1000
	took := make([]time.Duration, 0, calls)
	for range calls {
		began := time.Now()
		response, _, err := grant(t.Context(), t, client)
		took = append(took, time.Since(began))
		if time.Since(opened) > 4*time.Second {
			break // The machine is so slow that the breaker is about to half-open.
		}
		wantError(t, err, "upstream_circuit_open", codes.Unavailable)
		if err.HTTPStatus != 503 || err.NoRetry || err.OutcomeUnknown || !reflect.DeepEqual(response, seam.Response{}) {
			t.Fatalf("response %+v, error %+v", response, err)
		}
		if err.RetryAfter == nil || *err.RetryAfter <= 0 || *err.RetryAfter > 5*time.Second {
			t.Fatalf("retry after %v", err.RetryAfter)
		}
	}
	slices.Sort(took)
	median := took[len(took)/2]
	t.Logf("while open, a call takes %s (median of %d), %s (99 %%), %s (longest)", median, len(took), took[len(took)*99/100], took[len(took)-1])
	if median > 50*time.Millisecond {
		t.Errorf("while open, a call takes %s", median)
	}
	if n := u.requests.Load() - asked; n != 0 && time.Since(opened) < 5*time.Second {
		t.Errorf("Seam was asked %d times", n)
	}
	if state, refused := metric(t, registry, "callers_cut_off"), metric(t, registry, "refused_total"); state != 1 || refused != float64(len(took)+1) {
		t.Errorf("the state is %v, %v calls are counted as refused", state, refused)
	}

	well.Store(true)
	seamtest.Eventually(t, "the breaker to let a call through", func() bool { return create(t.Context(), t, client) == "ok" })
	if open := time.Since(opened); open < 4*time.Second {
		t.Errorf("the breaker was open for %s", open)
	}
	if state := metric(t, registry, "callers_cut_off"); state != 1 {
		t.Errorf("after one good probe, the state is %v", state)
	}
	create(t.Context(), t, client)
	create(t.Context(), t, client)
	if state := metric(t, registry, "callers_cut_off"); state != 0 {
		t.Errorf("after three good probes, the state is %v", state)
	}
	want := []string{"WARN closed to open", "INFO open to half-open", "INFO half-open to closed"}
	if got := log.changes(t); !slices.Equal(got, want) {
		t.Errorf("the log says %q, want %q", got, want)
	}
}
