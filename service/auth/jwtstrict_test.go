package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc/codes"
)

// These tests are about tokens that the issuer did sign and that are still refused, since implementations could
// interpret them differently.

// TestClaimsMatchExactly shows that claims match by their exact names and types.
func TestClaimsMatchExactly(t *testing.T) {
	at := time.Now()
	from := newIssuer(t, rsaKey())
	in := func(d time.Duration) int64 { return at.Add(d).Unix() }
	text := func(d time.Duration) string { return strconv.FormatInt(in(d), 10) }
	for name, test := range map[string]struct {
		change map[string]any
		good   bool
	}{
		"as it should be":              {nil, true},
		"exp as a text":                {map[string]any{"exp": text(time.Hour)}, false},
		"exp in a list":                {map[string]any{"exp": []int64{in(time.Hour)}}, false},
		"exp is too large":             {map[string]any{"exp": 1e300}, false},
		"exp with a fraction":          {map[string]any{"exp": float64(in(time.Hour)) + 0.5}, true},
		"nbf as a text":                {map[string]any{"nbf": text(-time.Hour)}, false},
		"nbf is true":                  {map[string]any{"nbf": true}, false},
		"nbf is too large":             {map[string]any{"nbf": 1e300}, false},
		"iat as a text":                {map[string]any{"iat": text(-time.Hour)}, false},
		"iat ahead within leeway":      {map[string]any{"iat": in(25 * time.Second)}, true},
		"iat ahead":                    {map[string]any{"iat": in(35 * time.Second)}, false},
		"no iat":                       {map[string]any{"iat": nil}, true},
		"sub in capitals":              {map[string]any{"sub": nil, "SUB": "orders"}, false},
		"sub and Sub":                  {map[string]any{"Sub": "orders"}, false},
		"sub with a long s":            {map[string]any{"\u017fub": "orders"}, false},
		"aud in capitals":              {map[string]any{"aud": nil, "AUD": "client-sessions"}, false},
		"iss in capitals beside it":    {map[string]any{"Iss": from.URL}, false},
		"Exp beside it":                {map[string]any{"Exp": in(time.Hour)}, false},
		"jti in capitals":              {map[string]any{"JTI": "x"}, false},
		"claim of a rule in capitals":  {map[string]any{"team": nil, "Team": "checkout"}, false},
		"claim of a rule in both":      {map[string]any{"Team": "checkout"}, false},
		"claims that decide nothing":   {map[string]any{"color": "red", "Color": "blue"}, true},
		"sub is a number":              {map[string]any{"sub": 1}, false},
		"audience in a list of a list": {map[string]any{"aud": []any{[]string{"client-sessions"}}}, false},
		"audience beside a number":     {map[string]any{"aud": []any{1, "client-sessions"}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := from.try(t, at, rsaKey().Sign(t, from.claims(at, test.change)))
			if got.served != test.good || (!test.good && got.code() != codes.Unauthenticated) {
				t.Errorf("served: %t, code %s (%s)", got.served, got.code(), got.cause())
			}
		})
	}
}

// TestDuplicateClaimsAreRefused shows that a token with duplicate names is refused, and so is one that is not a JSON
// object.
func TestDuplicateClaimsAreRefused(t *testing.T) {
	at := time.Now()
	from := newIssuer(t, rsaKey())
	good := marshal(t, from.claims(at, nil))
	and := func(more string) []byte { return fmt.Appendf(nil, "%s,%s}", bytes.TrimSuffix(good, []byte("}")), more) }
	for name, test := range map[string]struct {
		payload []byte
		good    bool
	}{
		"good":                    {good, true},
		"another claim":           {and(`"x":1`), true},
		"sub twice":               {and(`"sub":"orders"`), false},
		"sub twice, by an escape": {and(`"\u0073ub":"orders"`), false},
		"claim of a rule twice":   {and(`"team":"checkout"`), false},
		"any claim twice":         {and(`"x":1,"x":1`), false},
		"nbf is null":             {and(`"nbf":null`), false},
		"more after it":           {append(bytes.Clone(good), "{}"...), false},
		"list":                    {fmt.Appendf(nil, "[%s]", good), false},
		"null":                    {[]byte("null"), false},
		"bad UTF-8":               {and("\"x\":\"\xff\""), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := from.try(t, at, rsaKey().Sign(t, json.RawMessage(test.payload))); got.served != test.good {
				t.Errorf("served: %t (%s)", got.served, got.cause())
			}
		})
	}
}

// TestTokenTypeIsChecked shows that a token of another type is refused.
func TestTokenTypeIsChecked(t *testing.T) {
	at := time.Now()
	from := newIssuer(t, rsaKey())
	for kind, good := range map[any]bool{
		nil: true, "JWT": true, "jwt": true, "at+jwt": true, "AT+JWT": true, "application/at+jwt": true, "application/jwt": true,
		"logout+jwt": false, "dpop+jwt": false, "secevent+jwt": false, "application/secevent+jwt": false, "": false, "JWT ": false,
		"jose": false, 1: false,
	} {
		options := &jose.SignerOptions{}
		if kind != nil {
			options.WithHeader(jose.HeaderType, kind)
		}
		text := signWith(t, jose.RS256, rsaKey().Private, from.claims(at, nil), options)
		if got := from.try(t, at, text); got.served != good {
			t.Errorf("typ %v: served %t (%s)", kind, got.served, got.cause())
		}
	}
}

// TestKeyUse shows that a key verifies signatures by its own algorithm only.
func TestKeyUse(t *testing.T) {
	for name, test := range map[string]struct {
		// published and use are what the issuer says of its key.
		published jose.SignatureAlgorithm
		use       string
		algorithm jose.SignatureAlgorithm
		good      bool
	}{
		"its algorithm":        {jose.RS256, "sig", jose.RS256, true},
		"another algorithm":    {jose.RS256, "sig", jose.PS256, false},
		"another hash":         {jose.RS256, "sig", jose.RS512, false},
		"no algorithm named":   {"", "sig", jose.PS256, true},
		"for encryption":       {jose.RS256, "enc", jose.RS256, false},
		"for no use":           {jose.RS256, "", jose.RS256, true},
		"an algorithm of JWEs": {"RSA-OAEP", "sig", jose.RS256, false},
	} {
		t.Run(name, func(t *testing.T) {
			key := jwk(rsaKey().Private, "rsa")
			key.Algorithm, key.Use = string(test.published), test.use
			from := newIssuer(t, key.Public())
			text := signWith(t, test.algorithm, jwk(rsaKey().Private, "rsa"), from.claims(time.Now(), nil), nil)
			if got := from.try(t, time.Now(), text); got.served != test.good {
				t.Errorf("served: %t (%s)", got.served, got.cause())
			}
		})
	}
}

// TestKeySet shows which documents of an issuer are read. The log quotes nothing of them.
func TestKeySet(t *testing.T) {
	good := marshal(t, jwk(rsaKey().Private.Public(), "rsa"))
	for name, test := range map[string]struct {
		document string
		good     bool
	}{
		"a key":                    {fmt.Sprintf(`{"keys":[%s]}`, good), true},
		"after one of no use here": {fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"X448","x":"AA"},{"kty":"RSA"},%s]}`, good), true},
		"a megabyte":               {fmt.Sprintf(`{"keys":[%s],"pad":"%s"}`, good, strings.Repeat("x", 1<<20)), false},
		"none":                     {`{"keys":[]}`, false},
		"no set":                   {`{"secret":"x"}`, false},
		"a private key":            {fmt.Sprintf(`{"keys":[%s]}`, marshal(t, jwk(rsaKey().Private, "rsa"))), false},
		"no JSON":                  {"secret", false},
	} {
		t.Run(name, func(t *testing.T) {
			from := newIssuer(t)
			from.PublishText(test.document)
			got := from.try(t, time.Now(), rsaKey().Sign(t, from.claims(time.Now(), nil)))
			if got.served != test.good || strings.Contains(got.cause(), "secret") || len(got.cause()) > 1000 {
				t.Errorf("served: %t (%.1000s)", got.served, got.cause())
			}
		})
	}
}
