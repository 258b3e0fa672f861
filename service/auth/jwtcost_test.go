package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// These tests are about the cost of a token, since every client can send one.

// rules is a callers file with n rules of the issuer, one subject each.
func (i issuer) rules(n int) string {
	var file strings.Builder
	file.WriteString("callers:\n")
	for rule := range n {
		fmt.Fprintf(&file, "- {name: c%d, rpcs: [GrantAccess], jwt: {issuer: %q, audience: client-sessions, subject: s%d}}\n",
			rule, i.URL, rule)
	}
	return file.String()
}

// forged returns tokens that name a key of the issuer but were not signed by it.
func (i issuer) forged(t testing.TB, n int) []string {
	t.Helper()
	texts := make([]string, n)
	for at := range texts {
		texts[at] = forger().Sign(t, i.claims(time.Now(), map[string]any{"jti": strconv.Itoa(at)}))
	}
	return texts
}

// signed returns good tokens of the first rule.
func (i issuer) signed(t testing.TB, n int) []string {
	t.Helper()
	texts := make([]string, n)
	for at := range texts {
		texts[at] = rsaKey().Sign(t, i.claims(time.Now(), map[string]any{"sub": "s0", "jti": strconv.Itoa(at)}))
	}
	return texts
}

// allocations is how many one call makes with a token that comes for the first time. They show what is verified: a
// verification makes some hundred allocations, and a comparison none.
func allocations(t *testing.T, callers *auth.Callers, texts []string) float64 {
	t.Helper()
	next := 0
	try := func() {
		_ = grant(t, callers, bearer(texts[next]), nil)
		next++
	}
	try() // The keys come with the first.
	return testing.AllocsPerRun(len(texts)-2, try)
}

// TestSignatureIsVerifiedOnce shows that a token is verified once, however many rules its issuer has.
func TestSignatureIsVerifiedOnce(t *testing.T) {
	from := newIssuer(t, rsaKey())
	for name, texts := range map[string][]string{"forged": from.forged(t, 22), "good": from.signed(t, 22)} {
		one := allocations(t, newCallers(t, from.rules(1)), texts)
		if many := allocations(t, newCallers(t, from.rules(100)), texts); many > one+20 {
			t.Errorf("%s: %.0f allocations with a rule, %.0f with a hundred", name, one, many)
		}
	}
}

// TestClaimsAreReadAfterSignature shows that the claims of a token, of which it may have thousands, are read after its
// signature was verified, but for the issuer.
func TestClaimsAreReadAfterSignature(t *testing.T) {
	from := newIssuer(t, rsaKey())
	cost := func(claims int) float64 {
		texts := make([]string, 12)
		for at := range texts {
			all := from.claims(time.Now(), map[string]any{"jti": strconv.Itoa(at)})
			for claim := range claims {
				all[strconv.Itoa(claim)] = 0
			}
			texts[at] = forger().Sign(t, all)
		}
		return allocations(t, newCallers(t, from.rules(1)), texts)
	}
	if few, many := cost(0), cost(2000); many > few+20 {
		t.Errorf("%.0f allocations, and %.0f with two thousand claims more", few, many)
	}
}

// TestFailedTokenIsCached shows that a token which failed is not verified again while it is cached.
func TestFailedTokenIsCached(t *testing.T) {
	from := newIssuer(t, rsaKey())
	at := time.Now()
	callers := newCallers(t, from.rules(1), func() time.Time { return at })
	cost := func(md metadata.MD) float64 {
		return testing.AllocsPerRun(10, func() {
			if grant(t, callers, md, nil).served {
				t.Error("served")
			}
		})
	}
	none := cost(nil)
	for name, text := range map[string]string{
		"not signed by the issuer": from.forged(t, 1)[0],
		"of no caller":             rsaKey().Sign(t, from.claims(time.Now(), map[string]any{"sub": "x"})),
	} {
		if got := cost(bearer(text)); got > none+10 {
			t.Errorf("%s: %.0f allocations for a token that has failed, %.0f for none", name, got, none)
		}
	}
}

// TestFailedTokenIsVerifiedAgain shows that a token which failed is verified again as soon as the keys can be fetched
// again.
func TestFailedTokenIsVerifiedAgain(t *testing.T) {
	h := startJWT(t)
	h.served(h.sign(rsaKey(), nil), "the key of before")
	h.Publish(t, otherKey())
	text := h.sign(otherKey(), nil)
	for range 2 {
		h.refused(text, "before the interval is over")
		h.advance(2500 * time.Millisecond)
	}
	h.served(text, "after the interval")
}

// stuck is an issuer that responds when it is released, inside of a bubble of synctest.
type stuck struct {
	issuer  issuer
	release chan struct{}
}

func newStuck(t *testing.T) (*stuck, *auth.Callers) {
	t.Helper()
	s := &stuck{issuer{servicetest.NewIssuer(t, "https://issuer.example", rsaKey())}, make(chan struct{})}
	callers := auth.NewCallers(rpcNames(), &http.Client{Transport: s}, noAuthorities, time.Now)
	if err := callers.Load([]byte(s.issuer.rule())); err != nil {
		t.Fatal(err)
	}
	return s, callers
}

func (s *stuck) RoundTrip(request *http.Request) (*http.Response, error) {
	select {
	case <-s.release:
	case <-request.Context().Done():
		return nil, request.Context().Err()
	}
	response := httptest.NewRecorder()
	s.issuer.ServeHTTP(response, request)
	return response.Result(), nil
}

// TestWaitersAreBounded shows that the number of calls that wait for the keys of an issuer is bounded.
func TestWaitersAreBounded(t *testing.T) {
	const most = 256
	rsaKey()
	synctest.Test(t, func(t *testing.T) {
		from, callers := newStuck(t)
		text := rsaKey().Sign(t, from.issuer.claims(time.Now(), nil))
		var served atomic.Int64
		for range most {
			go func() {
				if grant(t, callers, bearer(text), nil).served {
					served.Add(1)
				}
			}()
		}
		synctest.Wait()
		began := time.Now()
		got := grant(t, callers, bearer(text), nil)
		if got.code() != codes.Unauthenticated || time.Since(began) != 0 ||
			!strings.Contains(got.cause(), "too many calls wait for the keys of the issuer") {
			t.Errorf("one more: %s after %s (%s)", got.code(), time.Since(began), got.cause())
		}
		close(from.release)
		synctest.Wait()
		if got := served.Load(); got != most {
			t.Errorf("%d of those that waited were served", got)
		}
		if got := grant(t, callers, bearer(text), nil); !got.served {
			t.Errorf("afterwards: %s", got.cause())
		}
	})
}

// TestCanceledCallCachesNoFailure shows that a canceled call does not make its token fail for later calls.
func TestCanceledCallCachesNoFailure(t *testing.T) {
	rsaKey()
	synctest.Test(t, func(t *testing.T) {
		from, callers := newStuck(t)
		text := rsaKey().Sign(t, from.issuer.claims(time.Now(), nil))
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			got := callIn(ctx, t, callers, "/seam.clientsession.v1.ClientSessionService/GrantAccess", bearer(text), nil)
			if got.served {
				t.Error("served without keys")
			}
		}()
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(from.release)
		synctest.Wait()
		if got := grant(t, callers, bearer(text), nil); !got.served {
			t.Errorf("another call: %s", got.cause())
		}
	})
}

// BenchmarkForgedJWT is what a token that the issuer did not sign costs with many rules.
func BenchmarkForgedJWT(b *testing.B) {
	from := newIssuer(b, rsaKey())
	texts := from.forged(b, 5000)
	for _, rules := range []int{1, 500} {
		for name, distinct := range map[string]int{"distinct": len(texts), "the same": 1} {
			b.Run(fmt.Sprintf("%d rules/%s", rules, name), func(b *testing.B) {
				callers := newCallers(b, from.rules(rules))
				next := 0
				for b.Loop() {
					_ = grant(b, callers, bearer(texts[next%distinct]), nil)
					next++
				}
			})
		}
	}
}
