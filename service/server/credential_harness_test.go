package server_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// The bearer tokens of the callers in these tests. The sandbox's API key is the service's own.
const (
	ordersToken = "css_ORDERSORDERSORDERSORDERSOR"
	readerToken = "css_READERREADERREADERREADERRE"
)

// credentialHarness is a service that has the sandbox's API key and knows three callers: orders, which may call
// everything, reader, which may only read, and jobs, which comes with tokens of an issuer.
type credentialHarness struct {
	*harness

	jobsToken string
	// sign makes tokens of the issuer whose token jobs has, with these claims in place of its own.
	sign func(claims map[string]any) string
	// beside is how many calls there may be beside those of the test: one in the soak test, which never stops calling.
	beside int
}

// startWithCredential runs the service with a service credential until the test ends.
func startWithCredential(t *testing.T, change ...func(*config.Config)) *credentialHarness {
	t.Helper()
	file, sign := writeCallers(t, t.TempDir())
	use := func(cfg *config.Config) {
		cfg.SeamAPIKey, cfg.CallersFile = sandbox.APIKey, file
	}
	h := &credentialHarness{harness: start(t, append([]func(*config.Config){use}, change...)...), sign: sign}
	h.jobsToken = h.sign(nil)
	return h
}

// writeCallers writes a callers file into a folder, and starts the issuer of the tokens of jobs.
func writeCallers(t *testing.T, folder string) (file string, sign func(claims map[string]any) string) {
	t.Helper()
	issuer, signAll := startIssuer(t)
	file = filepath.Join(folder, "callers.yaml")
	content := `
callers:
  - {name: orders, token_sha256: [` + sha256Of(ordersToken) + `], rpcs: ["*"]}
  - {name: reader, token_sha256: [` + sha256Of(readerToken) + `], rpcs: [Get, List]}
  - {name: jobs, jwt: {issuer: "` + issuer + `", audience: sessions, subject: jobs}, rpcs: [GrantAccess]}
`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, func(claims map[string]any) string {
		all := map[string]any{"iss": issuer, "aud": "sessions", "sub": "jobs", "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(all, claims)
		return signAll(all)
	}
}

// check makes a good call over each face, which must succeed at once whatever went on before.
func (h *credentialHarness) check(t *testing.T) {
	t.Helper()
	if got := h.grant(byID, "Authorization", "Bearer "+ordersToken); got.status != http.StatusOK {
		t.Errorf("a good call over REST gets %d %s", got.status, got.text)
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+ordersToken)
	if _, err := h.client().GrantAccess(ctx, grantByID()); err != nil {
		t.Errorf("a good call over gRPC gets %v", err)
	}
}

// upstream checks that all that reached Seam came with the service's key and with nothing of a caller's, and returns
// how many requests it was.
func (h *credentialHarness) upstream(t *testing.T) int {
	t.Helper()
	requests := h.sandbox.Requests()
	own := map[string]string{
		"Authorization": "Bearer " + sandbox.APIKey, "Content-Type": "application/json", "Accept": "application/json",
		"User-Agent": "client-session-service/test",
	}
	for _, request := range requests {
		for name, values := range request.Header {
			if name != "Content-Length" && (len(values) != 1 || values[0] != own[name]) {
				t.Errorf("Seam got %s: %q", name, values)
			}
		}
		if request.Header.Get("Authorization") == "" {
			t.Error("a request reached Seam without the service's key")
		}
		if request.RawQuery != "" {
			t.Errorf("Seam got the query %s", request.RawQuery)
		}
	}
	h.sandbox.ClearRequests()
	return len(requests)
}

// issuerKey is the key of every issuer: to make one takes longer than most tests.
var issuerKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// startIssuer runs an issuer of tokens, and returns its address and what signs its tokens.
func startIssuer(t *testing.T) (string, func(claims map[string]any) string) {
	t.Helper()
	key, err := issuerKey()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": server.URL, "jwks_uri": server.URL + "/keys"})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]string{
			"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k",
			"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
		}}})
	})
	return server.URL, func(claims map[string]any) string {
		payload, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		text := encode([]byte(`{"alg":"RS256","kid":"k"}`)) + "." + encode(payload)
		sum := sha256.Sum256([]byte(text))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + encode(signature)
	}
}

func sha256Of(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
