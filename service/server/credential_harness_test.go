package server_test

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/servicetest"
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
	key := issuerKey()
	issuer := servicetest.StartIssuer(t, key).URL
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
		return key.Sign(t, all)
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
var issuerKey = sync.OnceValue(func() servicetest.Key { return servicetest.NewKey("k") })

func sha256Of(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
