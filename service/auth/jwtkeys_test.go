package auth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// These tests are about how the keys of an issuer are fetched.

// TestKeyRotation shows that a new key of the issuer is in use within the interval, and that an old one is refused
// as soon as the new keys are known, also for a token that is cached.
func TestKeyRotation(t *testing.T) {
	h := startJWT(t)
	cached := h.sign(rsaKey(), nil)
	h.served(cached, "the key of before")
	h.Publish(t, otherKey())
	h.refused(h.sign(otherKey(), map[string]any{"jti": "1"}), "before the interval is over")
	h.advance(5 * time.Second)
	h.served(h.sign(otherKey(), map[string]any{"jti": "2"}), "the new key after the interval")
	h.refused(h.sign(rsaKey(), map[string]any{"jti": "3"}), "the old key")
	h.refused(cached, "the old key, cached")
}

// TestWithdrawnKeysExpire shows that a key which the issuer has withdrawn is refused in the end, though no token of
// another key tells of it, also for a token that is cached and has not expired.
func TestWithdrawnKeysExpire(t *testing.T) {
	h := startJWT(t)
	cached, fresh := h.sign(rsaKey(), nil), h.sign(rsaKey(), map[string]any{"jti": "2"})
	for range 5 {
		h.served(cached, "published")
		h.advance(10 * time.Minute)
	}
	h.served(cached, "published")
	h.Publish(t, otherKey())
	h.advance(10 * time.Minute)
	h.refused(cached, "ten minutes after its key was withdrawn, cached")
	h.refused(fresh, "ten minutes after its key was withdrawn")
}

// TestKeysAreFetchedInBackground shows that keys in use are fetched in the background before they are too old: no call
// waits for it, and an issuer that is down then has time to recover.
func TestKeysAreFetchedInBackground(t *testing.T) {
	h := startJWT(t)
	text := h.sign(rsaKey(), nil)
	served := func() bool { return h.try(text).served }
	if !served() {
		t.Fatal("not served")
	}
	h.SetDown(true)
	h.advance(5 * time.Minute)
	before := h.Requests()
	seamtest.Eventually(t, "the issuer is asked for its keys", func() bool { return served() && h.Requests() > before })
	h.SetDown(false)
	h.advance(4 * time.Minute)
	before = h.Requests()
	seamtest.Eventually(t, "it is asked again", func() bool { return served() && h.Requests() == before+2 })
	h.SetDown(true)
	h.advance(4 * time.Minute)
	h.served(text, "keys that are four minutes old")
	h.SetDown(false)
	h.Publish(t, otherKey())
	h.advance(time.Minute)
	seamtest.Eventually(t, "the token of a withdrawn key is refused", func() bool { return !served() })
}

// TestIssuerDown shows that every token is refused while the keys cannot be fetched, that the log then does not quote
// what the issuer says, and that the service recovers. Once the keys are known, a short outage has no effect.
func TestIssuerDown(t *testing.T) {
	h := startJWT(t)
	h.SetDown(true)
	text := h.sign(rsaKey(), nil)
	for range 3 {
		got := h.try(text)
		if got.served || !strings.Contains(got.cause(), "the keys of the token's issuer could not be fetched") ||
			!strings.Contains(got.cause(), "503") || strings.Contains(got.cause(), "maintenance") {
			t.Fatalf("while the issuer is down: %q", got.cause())
		}
	}
	h.SetDown(false)
	h.refused(text, "before the interval is over")
	h.advance(5 * time.Second)
	h.served(text, "the issuer is back")
	h.SetDown(true)
	h.advance(time.Minute)
	h.served(h.sign(rsaKey(), map[string]any{"jti": "2"}), "a known key while the issuer is down")
	h.refused(h.sign(otherKey(), nil), "an unknown key while the issuer is down")
}

// TestIssuerUnreachable shows that an issuer whose connections are refused is the same as one that is down.
func TestIssuerUnreachable(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	from := newIssuer(t)
	from.URL = gone.URL
	got := from.try(t, time.Now(), rsaKey().Sign(t, from.claims(time.Now(), nil)))
	if got.served || !strings.Contains(got.cause(), "could not be fetched") {
		t.Error("a token of an issuer that cannot be reached is good")
	}
}

// TestIssuerIsNotFlooded shows that invalid tokens make at most one request to the issuer in an interval.
func TestIssuerIsNotFlooded(t *testing.T) {
	h := startJWT(t)
	h.served(h.sign(rsaKey(), nil), "the first")
	before := h.Requests() // The discovery document and the keys.
	if before != 2 {
		t.Errorf("the issuer got %d requests for one token", before)
	}
	invalid := make([]string, 60)
	for i := range invalid {
		claims := h.claims(h.Now(), map[string]any{"jti": strconv.Itoa(i)})
		invalid[i] = otherKey().Sign(t, claims)
		if i%2 == 0 {
			invalid[i] = unsigned(t, `{"alg":"RS256","kid":"k`+strconv.Itoa(i)+`"}`, claims, "x")
		}
	}
	for round := range 3 {
		var all sync.WaitGroup
		for _, text := range invalid {
			all.Go(func() { h.refused(text, "an invalid token") })
		}
		all.Wait()
		if got := h.Requests() - before; got > round {
			t.Errorf("round %d: the issuer got %d requests", round, got)
		}
		h.advance(5 * time.Second)
	}
}

// TestIssuerThatIsDownIsNotFlooded shows the same for an issuer that has never responded.
func TestIssuerThatIsDownIsNotFlooded(t *testing.T) {
	h := startJWT(t)
	h.SetDown(true)
	text := h.sign(rsaKey(), nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { h.refused(text, "the issuer is down") })
	}
	all.Wait()
	if got := h.Requests(); got != 1 {
		t.Errorf("the issuer got %d requests", got)
	}
}

// TestKeysOverPlainHTTP shows that keys are not fetched from where they could be tampered with in transit.
func TestKeysOverPlainHTTP(t *testing.T) {
	for name, test := range map[string]struct{ keysURL, redirect string }{
		"the address of the keys": {"http://keys.example/keys", ""},
		"a redirect":              {"/keys", "http://keys.example/keys"},
		"redirects without end":   {"/keys", "/keys"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/keys" {
					http.Redirect(w, r, test.redirect, http.StatusFound)
					return
				}
				keysURL := test.keysURL
				if strings.HasPrefix(keysURL, "/") {
					keysURL = server.URL + keysURL
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"issuer": server.URL, "jwks_uri": keysURL})
			})
			server.Start()
			defer server.Close()
			from := newIssuer(t)
			from.URL = server.URL
			transport := &recorder{}
			defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			callers := auth.NewCallers(rpcNames(), &http.Client{Transport: transport}, noAuthorities, time.Now)
			if err := callers.Load([]byte(from.rule())); err != nil {
				t.Fatal(err)
			}
			text := rsaKey().Sign(t, from.claims(time.Now(), nil))
			if got := grant(t, callers, bearer(text), nil); got.served {
				t.Error("served")
			}
			if len(transport.requests) == 0 || len(transport.requests) > 5 ||
				slices.ContainsFunc(transport.requests, func(address string) bool { return strings.Contains(address, "keys.example") }) {
				t.Errorf("asked %q", transport.requests)
			}
		})
	}
}

// recorder records the requests.
type recorder struct{ requests []string }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.requests = append(r.requests, request.URL.String())
	return http.DefaultTransport.RoundTrip(request)
}
