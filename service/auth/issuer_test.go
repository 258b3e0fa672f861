package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/clientsession/client-session-service/service/auth"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// The keys are made once: an RSA key takes a while.
var (
	rsaKey     = sync.OnceValue(func() servicetest.Key { return servicetest.NewKey("rsa") })
	otherKey   = sync.OnceValue(func() servicetest.Key { return servicetest.NewKey("other") })
	ellipticES = sync.OnceValue(func() *jose.JSONWebKey {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return &jose.JSONWebKey{Key: private, KeyID: "es", Algorithm: string(jose.ES256), Use: "sig"}
	})
)

// forger signs with another key than the id says.
func forger() servicetest.Key { return servicetest.Key{ID: rsaKey().ID, Private: otherKey().Private} }

// jwk is a key that signs or verifies, by its id.
func jwk(key crypto.PrivateKey, id string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: id}
}

// signWith returns a token that is signed in another way than that of the keys.
func signWith(
	t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims map[string]any, options *jose.SignerOptions,
) string {
	t.Helper()
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := made.Sign(marshal(t, claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// issuer is an issuer of tokens whose claims a rule names.
type issuer struct{ *servicetest.Issuer }

func newIssuer(t testing.TB, keys ...any) issuer {
	t.Helper()
	return issuer{servicetest.StartIssuer(t, keys...)}
}

// rule is a callers file in which tokens of the issuer are those of one caller.
func (i issuer) rule() string {
	return `callers: [{name: orders, rpcs: [GrantAccess], jwt: {issuer: "` + i.URL +
		`", audience: client-sessions, subject: orders, claims: {team: checkout}}}]`
}

// claims are those of a good token at the time, with changes: nil takes a claim away.
func (i issuer) claims(at time.Time, change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": "client-sessions", "sub": "orders", "team": "checkout",
		"iat": at.Unix(), "exp": at.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// try makes a call with a token at a time, to callers of its own, so that no result is cached from another call.
func (i issuer) try(t *testing.T, at time.Time, text string) outcome {
	t.Helper()
	return grant(t, newCallers(t, i.rule(), func() time.Time { return at }), bearer(text), nil)
}

// jwtHarness is an issuer, callers whose tokens it makes, and their clock.
type jwtHarness struct {
	issuer
	*clock

	t       *testing.T
	callers *auth.Callers
}

func startJWT(t *testing.T) *jwtHarness {
	t.Helper()
	h := &jwtHarness{newIssuer(t, rsaKey()), &clock{now: time.Now()}, t, nil}
	h.callers = newCallers(t, h.rule(), h.Now)
	return h
}

// sign returns a token of a key with changed claims.
func (h *jwtHarness) sign(key servicetest.Key, change map[string]any) string {
	h.t.Helper()
	return key.Sign(h.t, h.claims(h.Now(), change))
}

// try makes a call with a token.
func (h *jwtHarness) try(text string) outcome {
	h.t.Helper()
	return grant(h.t, h.callers, bearer(text), nil)
}

// served makes a call with a token that has to be served.
func (h *jwtHarness) served(text, when string) {
	h.t.Helper()
	if got := h.try(text); !got.served {
		h.t.Errorf("%s: %s", when, got.cause())
	}
}

// refused makes a call with a token that has to be refused.
func (h *jwtHarness) refused(text, when string) {
	h.t.Helper()
	if h.try(text).served {
		h.t.Errorf("%s: served", when)
	}
}

// use loads a callers file.
func (h *jwtHarness) use(file string) {
	h.t.Helper()
	if err := h.callers.Load([]byte(file)); err != nil {
		h.t.Fatal(err)
	}
}
