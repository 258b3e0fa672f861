package servicetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Key is an RSA key of an issuer of JWTs. As JSON it is the public JWK.
type Key struct {
	ID      string
	Private *rsa.PrivateKey
}

// NewKey returns a new key, which takes longer to make than most tests.
func NewKey(id string) Key {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return Key{id, private}
}

// MarshalJSON returns the public JWK.
func (k Key) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": k.ID,
		"n": encodeSegment(k.Private.N.Bytes()), "e": encodeSegment(big.NewInt(int64(k.Private.E)).Bytes()),
	})
}

// Sign returns a JWT with the claims. Claims of the type json.RawMessage are signed as they are, good JSON or not.
func (k Key) Sign(t testing.TB, claims any) string {
	t.Helper()
	payload, raw := claims.(json.RawMessage)
	if !raw {
		payload = marshal(t, claims)
	}
	text := encodeSegment(marshal(t, map[string]string{"alg": "RS256", "kid": k.ID})) + "." + encodeSegment(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, k.Private, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + encodeSegment(signature)
}

func encodeSegment(content []byte) string { return base64.RawURLEncoding.EncodeToString(content) }

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Issuer is an issuer of JWTs: a discovery document and a key set over HTTP.
type Issuer struct {
	URL string

	mu       sync.Mutex
	keySet   []byte
	down     bool
	requests int
}

// NewIssuer returns an issuer with a URL and keys, of this package or of another that are JWKs as JSON. It is a handler,
// for a test that serves it by its own means.
func NewIssuer(t testing.TB, url string, keys ...any) *Issuer {
	t.Helper()
	i := &Issuer{URL: url}
	i.Publish(t, keys...)
	return i
}

// StartIssuer starts an issuer with keys. The end of the test stops it.
func StartIssuer(t testing.TB, keys ...any) *Issuer {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	i := NewIssuer(t, "http://"+server.Listener.Addr().String(), keys...)
	server.Config.Handler = i
	server.Start()
	t.Cleanup(server.Close)
	return i
}

func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests++
	if i.down {
		http.Error(w, "maintenance", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/.well-known/openid-configuration" {
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
		return
	}
	_, _ = w.Write(i.keySet)
}

// Publish replaces the keys.
func (i *Issuer) Publish(t testing.TB, keys ...any) {
	t.Helper()
	i.PublishText(string(marshal(t, map[string]any{"keys": keys})))
}

// PublishText replaces the key set by a text.
func (i *Issuer) PublishText(keySet string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keySet = []byte(keySet)
}

// SetDown has the issuer fail, or respond again.
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// Requests returns how many requests the issuer got.
func (i *Issuer) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}
