package auth_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// These tests are about what a token costs, since anybody can send one.

// rules is a callers file with n rules of the issuer, one subject each.
func (i *issuer) rules(n int) string {
	var file strings.Builder
	file.WriteString("callers:\n")
	for rule := range n {
		fmt.Fprintf(&file, "- {name: c%d, rpcs: [GrantAccess], jwt: {issuer: %q, audience: client-sessions, subject: s%d}}\n",
			rule, i.URL, rule)
	}
	return file.String()
}

// junk returns tokens that name a key of the issuer but were not signed by it.
func (i *issuer) junk(t testing.TB, n int) []string {
	t.Helper()
	texts := make([]string, n)
	forged := signer{otherKey().private, rsaKey().id, rsaKey().algorithm}
	for at := range texts {
		texts[at] = forged.sign(t, i.claims(time.Now(), map[string]any{"jti": strconv.Itoa(at)}))
	}
	return texts
}

// signed returns good tokens of the first rule.
func (i *issuer) signed(t testing.TB, n int) []string {
	t.Helper()
	texts := make([]string, n)
	for at := range texts {
		texts[at] = rsaKey().sign(t, i.claims(time.Now(), map[string]any{"sub": "s0", "jti": strconv.Itoa(at)}))
	}
	return texts
}

// TestOneSignatureCheck shows that a token is verified once, however many rules its issuer has. What it allocates tells
// how often: a check allocates some hundred times, a comparison never.
func TestOneSignatureCheck(t *testing.T) {
	from := newIssuer(t, rsaKey())
	for name, texts := range map[string][]string{"junk": from.junk(t, 22), "good": from.signed(t, 22)} {
		cost := func(rules int) float64 {
			callers, next := newCallers(t, from.rules(rules)), 0
			try := func() {
				_ = call(t, callers, bearer(texts[next]), nil)
				next++
			}
			try() // The keys come with the first.
			return testing.AllocsPerRun(20, try)
		}
		if one, many := cost(1), cost(100); many > one+20 {
			t.Errorf("%s: %.0f allocations with a rule, %.0f with a hundred", name, one, many)
		}
	}
}

// BenchmarkJunkJWT is what a token that the issuer did not sign costs with many rules.
func BenchmarkJunkJWT(b *testing.B) {
	from := newIssuer(b, rsaKey())
	texts := from.junk(b, 5000)
	for _, rules := range []int{1, 500} {
		for name, distinct := range map[string]int{"distinct": len(texts), "the same": 1} {
			b.Run(fmt.Sprintf("%d rules/%s", rules, name), func(b *testing.B) {
				callers := newCallers(b, from.rules(rules))
				next := 0
				for b.Loop() {
					_ = call(b, callers, bearer(texts[next%distinct]), nil)
					next++
				}
			})
		}
	}
}
