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

// TestKeysAreForgotten shows that a key which the issuer has withdrawn is not good for ever.
func TestKeysAreForgotten(t *testing.T) {
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

// TestKnownKeysOutliveTheIssuer shows that an issuer which is down for a moment does not take its callers down.
func TestKnownKeysOutliveTheIssuer(t *testing.T) {
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

// TestNotBefore shows that a token may be early by as much as clocks may be apart and no more.
func TestNotBefore(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	for early, good := range map[time.Duration]bool{25 * time.Second: true, 35 * time.Second: false, 4 * time.Minute: false} {
		claims := map[string]any{"nbf": at.Now().Add(early).Unix(), "jti": early.String()}
		if got := try(rsaKey().sign(t, from.claims(at.Now(), claims))); got.served != good {
			t.Errorf("early by %s: served %t", early, got.served)
		}
	}
}

// TestKeysOverPlainHTTP shows that keys are not taken from where somebody on the way could change them.
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
			if got := call(t, callers, bearer(rsaKey().sign(t, claims)), nil); got.served {
				t.Error("served")
			}
			if len(transport.asked) == 0 || len(transport.asked) > 5 ||
				slices.ContainsFunc(transport.asked, func(address string) bool { return strings.Contains(address, "keys.example") }) {
				t.Errorf("asked %q", transport.asked)
			}
		})
	}
}

// recorder notes what is asked for.
type recorder struct{ asked []string }

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	r.asked = append(r.asked, request.URL.String())
	return http.DefaultTransport.RoundTrip(request)
}

// TestFileQuotesNoToken shows that a token in the wrong place of a callers file does not get into the error, and that
// nothing in the file is passed over.
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

// TestCachedCallerEndsWithItsKeys shows that a token which was verified is not good for longer than the key that signed
// it, though it has not expired.
func TestCachedCallerEndsWithItsKeys(t *testing.T) {
	t.Run("withdrawn, and nobody has noticed", func(t *testing.T) {
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
	t.Run("withdrawn, and another token tells", func(t *testing.T) {
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

// TestKeysAreRenewed shows that keys which are in use are fetched anew in good time: nobody waits for that, and an
// issuer that is down then has time to come back.
func TestKeysAreRenewed(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	text := rsaKey().sign(t, from.claims(at.Now(), nil))
	served := func(_ int) bool { return try(text).served }
	if !served(0) {
		t.Fatal("not served")
	}
	from.setDown(true)
	at.advance(5 * time.Minute)
	before := from.asked()
	eventually(t, "the issuer is asked for its keys", func(i int) bool { return served(i) && from.asked() > before })
	from.setDown(false)
	at.advance(4 * time.Minute)
	before = from.asked()
	eventually(t, "it is asked again", func(i int) bool { return served(i) && from.asked() == before+2 })
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

// eventually waits for what happens on a goroutine of its own, such as a fetch of keys that nobody waits for.
func eventually(t *testing.T, what string, holds func(i int) bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for i := 0; !holds(i); i++ {
		if time.Now().After(deadline) {
			t.Fatalf("it never comes true that %s", what)
		}
	}
}
