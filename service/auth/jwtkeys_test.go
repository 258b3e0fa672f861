package auth_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// These tests are about how long the keys of an issuer and its tokens are cached.

func startJWT(t *testing.T, keys ...signer) (*issuer, *clock, func(text string) outcome, func(file string)) {
	t.Helper()
	at := &clock{now: time.Now()}
	from := newIssuer(t, keys...)
	callers := newCallers(t, from.rule(), at.Now)
	try := func(text string) outcome {
		t.Helper()
		return grant(t, callers, bearer(text), nil)
	}
	use := func(file string) {
		t.Helper()
		if err := callers.Load([]byte(file)); err != nil {
			t.Fatal(err)
		}
	}
	return from, at, try, use
}

// TestKeyRotation shows that a new key of the issuer is in use within the interval, and that an old one is refused
// as soon as the new keys are known.
func TestKeyRotation(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	old := func(id string) string { return rsaKey().sign(t, from.claims(at.Now(), map[string]any{"jti": id})) }
	fresh := func(id string) string { return otherKey().sign(t, from.claims(at.Now(), map[string]any{"jti": id})) }
	if got := try(old("1")); !got.served {
		t.Fatal(got.cause())
	}
	from.publish(otherKey())
	if got := try(fresh("1")); got.served {
		t.Error("the issuer was asked again before the interval was over")
	}
	at.advance(5 * time.Second)
	if got := try(fresh("2")); !got.served {
		t.Errorf("the new key after the interval: %s", got.cause())
	}
	if try(old("2")).served {
		t.Error("a token that the removed key signed is good")
	}
}

// TestIssuerDown shows that every token is refused while the keys cannot be fetched, and that the service recovers.
func TestIssuerDown(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	from.setDown(true)
	text := rsaKey().sign(t, from.claims(at.Now(), nil))
	for range 3 {
		got := try(text)
		if got.served || !strings.Contains(got.cause(), "the keys of the token's issuer could not be fetched") {
			t.Fatalf("while the issuer is down: %q", got.cause())
		}
	}
	from.setDown(false)
	if got := try(text); got.served {
		t.Error("the issuer was asked again before the interval was over")
	}
	at.advance(5 * time.Second)
	if got := try(text); !got.served {
		t.Fatalf("the issuer is back: %s", got.cause())
	}
	from.setDown(true)
	at.advance(time.Minute)
	if got := try(otherKey().sign(t, from.claims(at.Now(), nil))); got.served {
		t.Error("an unknown key is good while the issuer is down")
	}
}

// TestIssuerUnreachable shows that an issuer whose connections are refused is the same as one that is down.
func TestIssuerUnreachable(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	from.Close()
	if got := try(rsaKey().sign(t, from.claims(at.Now(), nil))); got.served || got.cause() == "" {
		t.Error("a token of an issuer that cannot be reached is good")
	}
}

// TestIssuerIsNotFlooded shows that invalid tokens make at most one request to the issuer in an interval.
func TestIssuerIsNotFlooded(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	if got := try(rsaKey().sign(t, from.claims(at.Now(), nil))); !got.served {
		t.Fatal(got.cause())
	}
	before := from.requestCount() // The discovery document and the keys.
	if before != 2 {
		t.Errorf("the issuer got %d requests for one token", before)
	}
	invalid := make([]string, 60)
	for i := range invalid {
		claims := from.claims(at.Now(), map[string]any{"jti": strconv.Itoa(i)})
		invalid[i] = otherKey().sign(t, claims)
		if i%2 == 0 {
			invalid[i] = unsigned(t, `{"alg":"RS256","kid":"k`+strconv.Itoa(i)+`"}`, claims, "x")
		}
	}
	for round := range 3 {
		var all sync.WaitGroup
		for _, text := range invalid {
			all.Go(func() {
				if try(text).served {
					t.Error("an invalid token is accepted")
				}
			})
		}
		all.Wait()
		if got := from.requestCount() - before; got > round {
			t.Errorf("round %d: the issuer got %d requests", round, got)
		}
		at.advance(5 * time.Second)
	}
}

// TestIssuerThatIsDownIsNotFlooded shows the same for an issuer that has never responded.
func TestIssuerThatIsDownIsNotFlooded(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	from.setDown(true)
	text := rsaKey().sign(t, from.claims(at.Now(), nil))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _ = try(text) })
	}
	all.Wait()
	if got := from.requestCount(); got != 1 {
		t.Errorf("the issuer got %d requests", got)
	}
}

// TestCachedCaller shows that a token is not verified twice, and that the cached caller does not outlive the token.
func TestCachedCaller(t *testing.T) {
	from, at, try, _ := startJWT(t, rsaKey())
	text := rsaKey().sign(t, from.claims(at.Now(), map[string]any{"exp": at.Now().Add(time.Minute).Unix()}))
	for range 3 {
		if got := try(text); !got.served {
			t.Fatal(got.cause())
		}
	}
	at.advance(time.Minute + 25*time.Second)
	if got := try(text); !got.served {
		t.Errorf("within the leeway: %s", got.cause())
	}
	at.advance(10 * time.Second)
	if got := try(text); got.served {
		t.Error("the cached caller is used past the token's expiry")
	}
}

// TestNewCallersFileInvalidatesCache shows that a new callers file is in use at once, also for tokens that are cached.
func TestNewCallersFileInvalidatesCache(t *testing.T) {
	from, at, try, use := startJWT(t, rsaKey())
	text := rsaKey().sign(t, from.claims(at.Now(), nil))
	for range 2 {
		if got := try(text); got.caller != "orders" {
			t.Fatal(got.cause())
		}
	}
	use(strings.Replace(from.rule(), "name: orders", "name: renamed", 1))
	if got := try(text); got.caller != "renamed" {
		t.Errorf("after a new name: %q", got.caller)
	}
	use(strings.Replace(from.rule(), "rpcs: [GrantAccess]", "rpcs: [Get]", 1))
	if got := try(text); got.served {
		t.Error("an RPC that was taken away is still allowed")
	}
	use(strings.Replace(from.rule(), "subject: orders", "subject: others", 1))
	if got := try(text); got.served {
		t.Error("a subject that was taken away is still a caller")
	}
	use("callers: [{name: a, token_sha256: [" + digest(token) + "], rpcs: [GrantAccess]}]")
	if got := try(text); got.served {
		t.Error("a caller that was taken away may still call")
	}
	// The keys of the issuer outlive the file: nothing is asked anew when it comes back.
	before := from.requestCount()
	use(from.rule())
	if got := try(text); got.caller != "orders" || from.requestCount() != before {
		t.Errorf("back again: caller %q, %d requests", got.caller, from.requestCount()-before)
	}
}

// TestRulesOfOneIssuer shows that two callers of one issuer are distinguished by their rules.
func TestRulesOfOneIssuer(t *testing.T) {
	from, at, try, use := startJWT(t, rsaKey())
	rule := func(name, audience, subject string) string {
		return "{name: " + name + ", rpcs: [GrantAccess], jwt: {issuer: \"" + from.URL + "\", audience: " + audience + ", subject: " + subject + "}}"
	}
	use("callers: [" + rule("a", "x", "one") + ", " + rule("b", "x", "two") + ", " + rule("c", "y", "one") + "]")
	for _, test := range []struct{ audience, subject, caller string }{
		{"x", "one", "a"}, {"x", "two", "b"}, {"y", "one", "c"}, {"y", "two", ""}, {"z", "one", ""},
	} {
		text := rsaKey().sign(t, from.claims(at.Now(), map[string]any{"aud": test.audience, "sub": test.subject}))
		if got := try(text); got.caller != test.caller {
			t.Errorf("audience %s, subject %s is %q", test.audience, test.subject, got.caller)
		}
	}
}
