package auth_test

import (
	"strings"
	"testing"
	"time"
)

// These tests are about the cached callers of tokens, and about the rules that choose a caller.

// TestCachedCaller shows that the cached caller of a token does not outlive the token.
func TestCachedCaller(t *testing.T) {
	h := startJWT(t)
	text := h.sign(rsaKey(), map[string]any{"exp": h.Now().Add(time.Minute).Unix()})
	for range 3 {
		h.served(text, "before it expires")
	}
	h.advance(time.Minute + 25*time.Second)
	h.served(text, "within the leeway")
	h.advance(10 * time.Second)
	h.refused(text, "expired")
}

// TestNewCallersFileInvalidatesCache shows that a new callers file is in use at once, also for tokens that are cached.
func TestNewCallersFileInvalidatesCache(t *testing.T) {
	h := startJWT(t)
	text := h.sign(rsaKey(), nil)
	for range 2 {
		h.served(text, "the file of before")
	}
	before := h.Requests()
	for _, test := range []struct{ what, replaced, by, caller string }{
		{"a new name", "name: orders", "name: renamed", "renamed"},
		{"an RPC that is taken away", "rpcs: [GrantAccess]", "rpcs: [Get]", ""},
		{"a subject that is taken away", "subject: orders", "subject: others", ""},
		{"a caller that is taken away", "jwt:", "token_sha256: [" + digest(token) + "]}] #", ""},
		// The keys of the issuer outlive the file: nothing is asked anew when it comes back.
		{"back again", "", "", "orders"},
	} {
		h.use(strings.Replace(h.rule(), test.replaced, test.by, 1))
		if got := h.try(text); got.served != (test.caller != "") || got.served && got.caller != test.caller {
			t.Errorf("%s: served %t, caller %q", test.what, got.served, got.caller)
		}
	}
	if asked := h.Requests() - before; asked != 0 {
		t.Errorf("the issuer got %d requests more", asked)
	}
}

// TestRulesOfOneIssuer shows that two callers of one issuer are distinguished by their rules.
func TestRulesOfOneIssuer(t *testing.T) {
	h := startJWT(t)
	rule := func(name, audience, subject string) string {
		return "{name: " + name + ", rpcs: [GrantAccess], jwt: {issuer: \"" + h.URL + "\", audience: " + audience + ", subject: " + subject + "}}"
	}
	h.use("callers: [" + rule("a", "x", "one") + ", " + rule("b", "x", "two") + ", " + rule("c", "y", "one") + "]")
	for _, test := range []struct{ audience, subject, caller string }{
		{"x", "one", "a"}, {"x", "two", "b"}, {"y", "one", "c"}, {"y", "two", ""}, {"z", "one", ""},
	} {
		text := h.sign(rsaKey(), map[string]any{"aud": test.audience, "sub": test.subject})
		if got := h.try(text); got.caller != test.caller {
			t.Errorf("audience %s, subject %s is %q", test.audience, test.subject, got.caller)
		}
	}
}
