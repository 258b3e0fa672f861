package auth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/auth"
)

// TestWithdrawnKeysExpire shows that a key which the issuer has withdrawn is refused in the end.
func TestWithdrawnKeysExpire(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	old := func(id string) string { return rsaKey().sign(t, from.claims(at.Now(), map[string]any{"jti": id})) }
	if got := try(old("1")); !got.served {
		t.Fatal(got.cause())
	}
	from.publish(otherKey())
	at.advance(time.Hour)
	if try(old("2")).served {
		t.Error("a key that was withdrawn an hour ago is still good")
	}
}

// TestKeysOutliveOutageOfIssuer shows that a short outage of the issuer does not affect its callers.
func TestKeysOutliveOutageOfIssuer(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	if got := try(rsaKey().sign(t, from.claims(at.Now(), nil))); !got.served {
		t.Fatal(got.cause())
	}
	from.setDown(true)
	at.advance(time.Minute)
	if got := try(rsaKey().sign(t, from.claims(at.Now(), map[string]any{"jti": "2"}))); !got.served {
		t.Errorf("the keys are known: %s", got.cause())
	}
}

// TestNotBefore shows that a token may be early by the clock leeway and no more.
func TestNotBefore(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	for early, good := range map[time.Duration]bool{25 * time.Second: true, 35 * time.Second: false, 4 * time.Minute: false} {
		claims := map[string]any{"nbf": at.Now().Add(early).Unix(), "jti": early.String()}
		if got := try(rsaKey().sign(t, from.claims(at.Now(), claims))); got.served != good {
			t.Errorf("early by %s: served %t", early, got.served)
		}
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
			from := httptest.NewUnstartedServer(nil)
			from.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/keys" {
					http.Redirect(w, r, test.redirect, http.StatusFound)
					return
				}
				keysURL := test.keysURL
				if strings.HasPrefix(keysURL, "/") {
					keysURL = from.URL + keysURL
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"issuer": from.URL, "jwks_uri": keysURL})
			})
			from.Start()
			defer from.Close()
			transport := &recorder{}
			defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			callers := auth.NewCallers(rpcNames(), &http.Client{Transport: transport}, noAuthorities, time.Now)
			err := callers.Load([]byte(`callers: [{name: a, rpcs: [GrantAccess], jwt: {issuer: "` + from.URL +
				`", audience: a, subject: s}}]`))
			if err != nil {
				t.Fatal(err)
			}
			claims := map[string]any{"iss": from.URL, "aud": "a", "exp": time.Now().Add(time.Hour).Unix()}
			if got := grant(t, callers, bearer(rsaKey().sign(t, claims)), nil); got.served {
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

// TestFileQuotesNoToken shows that the error of a callers file does not quote a token in the wrong place, and that no
// part of the file is ignored.
func TestFileQuotesNoToken(t *testing.T) {
	hash := digest("x")
	for _, content := range []string{
		"callers: [{name: a, rpcs: [Get], token_sha256: [" + hash + "]}]\n---\ncallers: nonsense",
		"callers: [{name: a, rpcs: [Get], token_sha256: " + token + "}]",
		"callers: [{name: a, rpcs: [Get], " + token + ": x}]",
		"callers: [{name: a, rpcs: [Get], token_sha256: [" + hash + "," + hash + "]}]",
		"callers: [{name: " + token + ", rpcs: [" + token + "], token_sha256: [" + hash + "]}]",
	} {
		callers := auth.NewCallers(rpcNames(), &http.Client{}, noAuthorities, time.Now)
		if err := callers.Load([]byte(content)); err == nil || strings.Contains(err.Error(), token[:8]) {
			t.Errorf("%s: %v", content, err)
		}
	}
}

// TestCachedCallerEndsWithItsKeys shows that a cached token is refused once the key that signed it is withdrawn, though
// it has not expired.
func TestCachedCallerEndsWithItsKeys(t *testing.T) {
	t.Run("withdrawn, not noticed yet", func(t *testing.T) {
		from, at, try, _ := startJWT(t, rsaKey())
		text := rsaKey().sign(t, from.claims(at.Now(), nil))
		if got := try(text); !got.served {
			t.Fatal(got.cause())
		}
		from.publish(otherKey())
		at.advance(10 * time.Minute)
		if try(text).served {
			t.Error("a token is good for ten minutes after its key was withdrawn")
		}
	})
	t.Run("withdrawn, noticed by another token", func(t *testing.T) {
		from, at, try, _ := startJWT(t, rsaKey())
		text := rsaKey().sign(t, from.claims(at.Now(), nil))
		if got := try(text); !got.served {
			t.Fatal(got.cause())
		}
		from.publish(otherKey())
		at.advance(5 * time.Second)
		if got := try(otherKey().sign(t, from.claims(at.Now(), nil))); !got.served {
			t.Fatal(got.cause())
		}
		if try(text).served {
			t.Error("a token is good though its key is known to be withdrawn")
		}
	})
	t.Run("still there", func(t *testing.T) {
		from, at, try, _ := startJWT(t, rsaKey())
		text := rsaKey().sign(t, from.claims(at.Now(), nil))
		for range 5 {
			if got := try(text); !got.served {
				t.Fatal(got.cause())
			}
			at.advance(10 * time.Minute)
		}
	})
}

// TestKeysAreFetchedInBackground shows that keys in use are fetched in the background before they are too old: no call
// waits for it, and an issuer that is down then has time to recover.
func TestKeysAreFetchedInBackground(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	text := rsaKey().sign(t, from.claims(at.Now(), nil))
	served := func(_ int) bool { return try(text).served }
	if !served(0) {
		t.Fatal("not served")
	}
	from.setDown(true)
	at.advance(5 * time.Minute)
	before := from.requestCount()
	eventually(t, "the issuer is asked for its keys", func(i int) bool { return served(i) && from.requestCount() > before })
	from.setDown(false)
	at.advance(4 * time.Minute)
	before = from.requestCount()
	eventually(t, "it is asked again", func(i int) bool { return served(i) && from.requestCount() == before+2 })
	from.setDown(true)
	at.advance(4 * time.Minute)
	if !served(0) {
		t.Error("keys that are four minutes old are good no more")
	}
	from.setDown(false)
	from.publish(otherKey())
	at.advance(time.Minute)
	eventually(t, "the token of a withdrawn key is refused", func(i int) bool { return !served(i) })
}

// eventually waits for a condition that another goroutine makes true, such as a fetch in the background.
func eventually(t *testing.T, what string, holds func(i int) bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for i := 0; !holds(i); i++ {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes true that %s", what)
		}
	}
}
