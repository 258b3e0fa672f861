package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signer is a key of an issuer.
type signer struct {
	private   crypto.Signer
	id        string
	algorithm jose.SignatureAlgorithm
}

// The keys are made once: an RSA key takes a while.
var (
	rsaKey     = sync.OnceValue(func() signer { return newRSA("rsa") })
	otherKey   = sync.OnceValue(func() signer { return newRSA("other") })
	ellipticES = sync.OnceValue(func() signer {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return signer{private, "es", jose.ES256}
	})
)

func newRSA(id string) signer {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return signer{private, id, jose.RS256}
}

// sign returns a token with the claims.
func (s signer) sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return signWith(t, s.algorithm, jose.JSONWebKey{Key: s.private, KeyID: s.id}, claims, nil)
}

func signWith(
	t testing.TB, algorithm jose.SignatureAlgorithm, key any, claims map[string]any, options *jose.SignerOptions,
) string {
	t.Helper()
	made, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	return signText(t, made, marshal(t, claims))
}

// signText signs any text, also one that is no good JSON.
func signText(t testing.TB, made jose.Signer, payload []byte) string {
	t.Helper()
	signed, err := made.Sign(payload)
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

// issuer is an issuer of tokens: a discovery document and keys over HTTP.
type issuer struct {
	*httptest.Server

	mu   sync.Mutex
	keys []signer
	// edit changes a key before it is published; document is published in place of all keys.
	edit     func(*jose.JSONWebKey)
	document []byte
	down     bool
	requests int
}

func newIssuer(t testing.TB, keys ...signer) *issuer {
	t.Helper()
	i := &issuer{keys: keys}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests++
	if i.down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/.well-known/openid-configuration" {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
		return
	}
	if i.document != nil {
		_, _ = w.Write(i.document)
		return
	}
	set := jose.JSONWebKeySet{}
	for _, key := range i.keys {
		public := jose.JSONWebKey{
			Key: key.private.Public(), KeyID: key.id, Algorithm: string(key.algorithm), Use: "sig",
		}
		if i.edit != nil {
			i.edit(&public)
		}
		set.Keys = append(set.Keys, public)
	}
	_ = json.NewEncoder(w).Encode(set)
}

// publish replaces the issuer's keys.
func (i *issuer) publish(keys ...signer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// requestCount returns how many requests the issuer got.
func (i *issuer) requestCount() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// rule is a callers file in which tokens of the issuer are those of one caller.
func (i *issuer) rule() string {
	return `callers: [{name: orders, rpcs: [GrantAccess], jwt: {issuer: "` + i.URL +
		`", audience: client-sessions, subject: orders, claims: {team: checkout}}}]`
}

// claims are those of a good token at the time, with changes: nil takes a claim away.
func (i *issuer) claims(at time.Time, change map[string]any) map[string]any {
	claims := map[string]any{
		"iss": i.URL, "aud": "client-sessions", "sub": "orders", "team": "checkout",
		"iat": at.Unix(), "exp": at.Add(time.Hour).Unix(),
	}
	maps.Copy(claims, change)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}
