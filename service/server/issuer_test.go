package server_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
)

// TestIssuerCAFile shows that an issuer whose certificate is that of a private authority is trusted by --issuer-ca-file
// alone.
func TestIssuerCAFile(t *testing.T) {
	t.Parallel()
	authority, key := servicetest.NewAuthority(t, "ours"), issuerKey()
	served := httptest.NewUnstartedServer(nil)
	issuer := servicetest.NewIssuer(t, "https://"+served.Listener.Addr().String(), key)
	served.Config.Handler = issuer
	served.TLS = &tls.Config{Certificates: []tls.Certificate{authority.Pair(t, "issuer")}}
	served.StartTLS()
	t.Cleanup(served.Close)

	folder := t.TempDir()
	callers, trusted := filepath.Join(folder, "callers.yaml"), filepath.Join(folder, "ca.pem")
	content := `callers: [{name: jobs, jwt: {issuer: "` + issuer.URL + `", audience: a, subject: jobs}, rpcs: ["*"]}]`
	for path, text := range map[string][]byte{callers: []byte(content), trusted: authority.PEM} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := key.Sign(t, map[string]any{
		"iss": issuer.URL, "aud": "a", "sub": "jobs", "exp": time.Now().Add(time.Hour).Unix(),
	})
	for file, want := range map[string]int{trusted: http.StatusOK, "": http.StatusUnauthorized} {
		h := start(t, func(cfg *config.Config) {
			cfg.SeamAPIKey, cfg.CallersFile, cfg.IssuerCAFile = sandbox.APIKey, callers, file
		})
		if got := h.grant(byID, "Authorization", "Bearer "+token); got.status != want {
			t.Errorf("with the authorities in %q, a token gets %d %s", file, got.status, got.text)
		}
	}
}
