package seam

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
	"github.com/clientsession/client-session-service/service/seamerr"
)

// poisoned is an upstream that is well, but for the requests of those who know how to provoke a failure.
func poisoned(down *atomic.Bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch {
		case r.Header.Get("Poison") == "hang":
			<-r.Context().Done()
		case r.Header.Get("Poison") != "" || down.Load():
			w.WriteHeader(http.StatusBadGateway)
		default:
			_, _ = io.WriteString(w, seamtest.Success)
		}
	}
}

// as makes a call of a caller and says how it ended: ok, failed, or refused by the circuit breaker.
func (b bubble) as(t *testing.T, caller Caller, poison string) string {
	t.Helper()
	header := http.Header{}
	if poison != "" {
		header.Set("Poison", poison)
	}
	_, err := b.Do(t.Context(), &Call{
		Endpoint: Create(), Header: header, Caller: caller,
		In: &clientsessionv1.GrantAccessRequest{}, Out: &clientsessionv1.GrantAccessResponse{},
	})
	e, failed := errors.AsType[*seamerr.Error](err)
	switch {
	case !failed:
		return "ok"
	case e.Type == "upstream_circuit_open":
		return "refused"
	default:
		return "failed"
	}
}

var honest = []Caller{{11, true}, {12, true}, {13, true}, {14, true}}

// TestOneCallerCannotCutOffOthers shows that the failures which one caller provokes, or who makes up as many
// credentials as it likes, never have the others refused.
func TestOneCallerCannotCutOffOthers(t *testing.T) {
	t.Parallel()
	for name, attacker := range map[string]func(i int) Caller{
		"one accepted credential":    func(int) Caller { return Caller{1, true} },
		"one unproven credential":    func(int) Caller { return Caller{1, false} },
		"a new credential each time": func(i int) Caller { return Caller{uint64(1000 + i), false} },
	} {
		for _, others := range []int{1, 2, 4} {
			t.Run(name, func(t *testing.T) {
				inBubble(t, poisoned(new(atomic.Bool)), func(t *testing.T, b bubble) {
					for i := range 200 { // Ten failures a second for twenty seconds.
						time.Sleep(100 * time.Millisecond)
						b.as(t, attacker(i), "fail")
						if i%5 == 0 {
							for _, caller := range honest[:others] {
								if got := b.as(t, caller, ""); got != "ok" {
									t.Fatalf("after %d failures of the attacker, a call of another is %s", i+1, got)
								}
							}
						}
					}
					if state := b.breaker.state(); state != 0 {
						t.Errorf("the shared state is %v", state)
					}
					// Who has been idle meanwhile is none the worse either.
					if got := b.as(t, Caller{99, true}, ""); got != "ok" {
						t.Errorf("the first call of another is %s", got)
					}
				})
			})
		}
	}
}

// outage has Seam fail until the shared circuit opens.
func outage(t *testing.T, b bubble, down *atomic.Bool) {
	t.Helper()
	down.Store(true)
	for range 100 {
		for _, caller := range honest {
			b.as(t, caller, "")
		}
		if b.breaker.state() == 2 {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatal("the shared circuit does not open")
}

// TestSeveralCallersOpenTheBreaker shows that an outage is everybody's: also a caller of which no attempt has failed is
// told at once.
func TestSeveralCallersOpenTheBreaker(t *testing.T) {
	down := new(atomic.Bool)
	inBubble(t, poisoned(down), func(t *testing.T, b bubble) {
		began := time.Now()
		outage(t, b, down)
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("the circuit opened after %s", took)
		}
		for _, caller := range []Caller{{99, true}, {99, false}} {
			if got := b.as(t, caller, ""); got != "refused" {
				t.Errorf("a call of another is %s", got)
			}
		}
		down.Store(false)
		time.Sleep(5*time.Second + 1)
		for i := range 3 {
			if got := b.as(t, Caller{uint64(20 + i), true}, ""); got != "ok" {
				t.Errorf("probe %d is %s", i, got)
			}
		}
		if state := b.breaker.state(); state != 0 {
			t.Errorf("after three good probes, the shared state is %v", state)
		}
	})
}

// TestOneCallerCannotHoldTheBreakerOpen shows that probes of one caller that fail, or never end, do not keep the
// breaker open for the others.
func TestOneCallerCannotHoldTheBreakerOpen(t *testing.T) {
	t.Parallel()
	for _, poison := range []string{"fail", "hang"} {
		for name, attacker := range map[string]func(i int) Caller{
			"one accepted credential":    func(int) Caller { return Caller{1, true} },
			"a new credential each time": func(i int) Caller { return Caller{uint64(1000 + i), false} },
		} {
			t.Run(poison+" "+name, func(t *testing.T) {
				down := new(atomic.Bool)
				inBubble(t, poisoned(down), func(t *testing.T, b bubble) {
					outage(t, b, down)
					down.Store(false)
					time.Sleep(5*time.Second + 1)
					// The attacker is first all the time. A probe that hangs has its place for five seconds.
					began := time.Now()
					for i := 0; b.breaker.state() != 0; i++ {
						for range 3 {
							go b.as(t, attacker(i), poison)
							synctest.Wait()
						}
						for _, caller := range honest {
							if got := b.as(t, caller, ""); got == "failed" {
								t.Errorf("a probe of another is %s", got)
							}
						}
						if time.Since(began) > 6*time.Second {
							t.Fatal("the circuit stays open")
						}
						time.Sleep(100 * time.Millisecond)
					}
				})
			})
		}
	}
}

// TestProbesOfTwoCallersOpenAgain shows that an outage that is not over is soon known to be one.
func TestProbesOfTwoCallersOpenAgain(t *testing.T) {
	down := new(atomic.Bool)
	inBubble(t, poisoned(down), func(t *testing.T, b bubble) {
		outage(t, b, down)
		for range 3 {
			time.Sleep(5*time.Second + 1)
			if got := b.as(t, Caller{21, true}, ""); got != "failed" || b.breaker.state() != 1 {
				t.Errorf("the first probe is %s, the shared state is %v", got, b.breaker.state())
			}
			if got := b.as(t, Caller{22, true}, ""); got != "failed" || b.breaker.state() != 2 {
				t.Errorf("the second probe is %s, the shared state is %v", got, b.breaker.state())
			}
		}
	})
}
