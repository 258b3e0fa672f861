package interceptor_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"github.com/clientsession/client-session-service/service/callinfo"
	"github.com/clientsession/client-session-service/service/interceptor"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// arriving is a request whose body arrives in pieces that the test sends.
type arriving struct {
	pieces  chan []byte
	cut     chan struct{}
	once    sync.Once
	decoded atomic.Pointer[string]
	err     *seamerr.Error
}

func newArriving() *arriving {
	return &arriving{pieces: make(chan []byte, 1), cut: make(chan struct{})}
}

// whole is a request that has arrived.
func whole(text string) *arriving {
	a := newArriving()
	a.pieces <- []byte(text)
	close(a.pieces)
	return a
}

func (a *arriving) Read(p []byte) (int, error) {
	select {
	case piece, more := <-a.pieces:
		if !more {
			return 0, io.EOF
		}
		return copy(p, piece), nil
	case <-a.cut:
		return 0, seamerr.Canceled(errors.New("cut"))
	}
}

func (a *arriving) Decode(_ *callinfo.Call, body []byte, _ any) *seamerr.Error {
	a.decoded.Store(new(string(body)))
	return a.err
}

func (a *arriving) Cut() { a.once.Do(func() { close(a.cut) }) }

type receiveHarness struct {
	step     grpc.UnaryServerInterceptor
	refused  *prometheus.CounterVec
	registry *prometheus.Registry
	log      *logLines
}

func newReceive() *receiveHarness {
	h := &receiveHarness{
		refused:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"limit"}),
		registry: prometheus.NewRegistry(),
	}
	var logger *slog.Logger
	logger, h.log = newLog(slog.LevelInfo)
	h.step = interceptor.Receive(interceptor.ReceiveConfig{
		MaxInFlight: 1, Timeout: 10 * time.Second, Logger: logger, Registry: h.registry, Refused: h.refused,
	})
	return h
}

// call runs the step with a request. The error of the call is sent on the channel.
func (h *receiveHarness) call(t *testing.T, fullMethod string, r *arriving, handler grpc.UnaryHandler) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	ctx := callinfo.NewContext(context.Background(), &callinfo.Call{Request: r})
	go func() {
		_, err := h.step(ctx, nil, &grpc.UnaryServerInfo{FullMethod: fullMethod}, handler)
		ended <- err
	}()
	synctest.Wait()
	return ended
}

func (h *receiveHarness) gauge(t *testing.T, name string) float64 {
	t.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// errorType returns the type of the error a call ended with, "open" if it has not ended.
func errorType(t *testing.T, ended <-chan error) string {
	t.Helper()
	select {
	case err := <-ended:
		if err == nil {
			return "ok"
		}
		return asError(t, err).Type
	default:
		return "open"
	}
}

func ok(context.Context, any) (any, error) { return "response", nil }

func TestReceive(t *testing.T) {
	long := strings.Repeat("x", interceptor.MaxRequestBytes)
	for name, test := range map[string]struct {
		request *arriving
		want    string
		decoded string
	}{
		"empty": {whole(""), "ok", ""},
		"short": {whole("abc"), "ok", "abc"},
		"cannot be decoded": {func() *arriving {
			a := whole("abc")
			a.err = seamerr.InvalidMessage(nil)
			return a
		}(), "invalid_input", "abc"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newReceive()
				if got := errorType(t, h.call(t, method, test.request, ok)); got != test.want {
					t.Errorf("the call ended with %s, want %s", got, test.want)
				}
				if got := test.request.decoded.Load(); got == nil || *got != test.decoded {
					t.Errorf("decoded %v, want %q", got, test.decoded)
				}
			})
		})
	}
	for length, want := range map[int]string{len(long): "ok", len(long) + 1: "payload_too_large"} {
		synctest.Test(t, func(t *testing.T) {
			h, r := newReceive(), newArriving()
			ended := h.call(t, method, r, ok)
			for text := long + "y"; length > 0; {
				n := min(length, 16<<10)
				r.pieces <- []byte(text[:n])
				text, length = text[n:], length-n
				synctest.Wait()
			}
			if want == "ok" {
				close(r.pieces)
				synctest.Wait()
			}
			if got := errorType(t, ended); got != want {
				t.Errorf("a body of %d bytes ended with %s, want %s", length, got, want)
			}
			if want == "ok" && *r.decoded.Load() != long {
				t.Error("the body was not put together as it came")
			}
		})
	}
}

// TestReceiveTimesOut shows that a request which does not arrive in time is cut off, each after its own timeout.
func TestReceiveTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newReceive()
		first := h.call(t, method, newArriving(), ok)
		time.Sleep(4 * time.Second)
		second := h.call(t, method, newArriving(), ok)
		time.Sleep(6*time.Second - time.Nanosecond)
		synctest.Wait()
		if got := errorType(t, first); got != "open" {
			t.Errorf("before its time the first ended with %s", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if one, two := errorType(t, first), errorType(t, second); one != "request_timeout" || two != "open" {
			t.Errorf("after 10 seconds the first: %s, the second: %s", one, two)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if got := errorType(t, second); got != "request_timeout" {
			t.Errorf("the second: %s", got)
		}
		if n := count(t, h.refused.WithLabelValues("request_time")); n != 2 {
			t.Errorf("%v are counted", n)
		}
		// The timer starts anew.
		third := h.call(t, method, newArriving(), ok)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := errorType(t, third); got != "request_timeout" {
			t.Errorf("the third: %s", got)
		}
	})
}

// TestReceiveCutsOffOldest shows that, of too many requests that do not arrive, the oldest is cut off for a new one,
// which is read, and that the pressure is logged once.
func TestReceiveCutsOffOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newReceive()
		var unread []<-chan error
		for range 64 {
			unread = append(unread, h.call(t, method, newArriving(), ok))
		}
		for i := range 3 {
			if got := errorType(t, h.call(t, method, whole("good"), ok)); got != "ok" {
				t.Errorf("good call %d: %s", i, got)
			}
		}
		if got := errorType(t, unread[0]); got != "overloaded" {
			t.Errorf("the oldest: %s", got)
		}
		if n := h.gauge(t, "client_session_service_requests_arriving"); n != 63 {
			t.Errorf("%v are arriving", n)
		}
		for range 2 { // The first takes the place of the good calls, the second that of the next oldest.
			h.call(t, method, newArriving(), ok)
		}
		if one, two := errorType(t, unread[1]), errorType(t, unread[2]); one != "overloaded" || two != "open" {
			t.Errorf("the second oldest: %s, the third: %s", one, two)
		}
		if n := count(t, h.refused.WithLabelValues("request_buffer")); n != 2 {
			t.Errorf("%v are counted", n)
		}
		h.log.only(t)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := h.gauge(t, "client_session_service_requests_arriving"); n != 0 {
			t.Errorf("%v are arriving in the end", n)
		}
	})
}

// TestReceiveBoundsMemory shows that the bytes of all requests are bounded, those of calls in flight included, and that
// a health check is accepted whatever the calls hold.
func TestReceiveBoundsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newReceive()
		proceed := make(chan struct{})
		hold := func(context.Context, any) (any, error) {
			<-proceed
			return "response", nil
		}
		body := func(r *arriving) {
			for range interceptor.MaxRequestBytes / (16 << 10) {
				r.pieces <- make([]byte, 16<<10)
				synctest.Wait()
			}
		}
		var inFlight []<-chan error
		for range 15 { // 15 of 16 in flight: 2 MiB in all.
			r := newArriving()
			inFlight = append(inFlight, h.call(t, method, r, hold))
			body(r)
			close(r.pieces)
			synctest.Wait()
		}
		slow := newArriving()
		unread := h.call(t, method, slow, ok)
		body(slow)
		if bytes := h.gauge(t, "client_session_service_request_buffer_bytes"); bytes != 2<<20 {
			t.Errorf("%v bytes in memory", bytes)
		}
		if got := errorType(t, h.call(t, method, whole("one more"), ok)); got != "ok" {
			t.Errorf("a request beside an unread one: %s", got)
		}
		if got := errorType(t, unread); got != "overloaded" {
			t.Errorf("the unread one: %s", got)
		}
		r := newArriving()
		inFlight = append(inFlight, h.call(t, method, r, hold))
		body(r)
		close(r.pieces)
		synctest.Wait()
		if got := errorType(t, h.call(t, method, whole("one more"), ok)); got != "overloaded" {
			t.Errorf("a request beside 2 MiB in flight: %s", got)
		}
		if got := errorType(t, h.call(t, "/grpc.health.v1.Health/Check", whole("health"), ok)); got != "ok" {
			t.Errorf("a health check beside 2 MiB in flight: %s", got)
		}
		if n := count(t, h.refused.WithLabelValues("request_bytes")); n != 1 {
			t.Errorf("%v are counted", n)
		}
		close(proceed)
		synctest.Wait()
		for _, call := range inFlight {
			if got := errorType(t, call); got != "ok" {
				t.Errorf("a call that was in flight: %s", got)
			}
		}
		if bytes := h.gauge(t, "client_session_service_request_buffer_bytes"); bytes != 0 {
			t.Errorf("%v bytes in memory in the end", bytes)
		}
	})
}
