package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
)

// TestCORS shows which origins may call, and which with credentials, as Seam's JavaScript SDK does with a client
// session token: only listed origins, and those with credentials only in pass-through mode.
func TestCORS(t *testing.T) {
	t.Parallel()
	const origin, unlisted = "https://app.example.com", "https://evil.example.com"
	origins := func(list ...string) func(*config.Config) {
		return func(cfg *config.Config) { cfg.CORSOrigins = list }
	}
	listed, every, mixed := start(t, origins(origin)), start(t, origins("*")), start(t, origins(origin, "*"))
	credentialed := startWithCredential(t, origins(origin)).harness
	for name, c := range map[string]struct {
		h      *harness
		origin string
		// allowed and credentials are Access-Control-Allow-Origin and -Credentials.
		allowed, credentials string
		preflight            int
	}{
		"listed":                       {listed, origin, origin, "true", http.StatusNoContent},
		"unlisted":                     {listed, unlisted, "", "", http.StatusNoContent},
		"page without an origin":       {listed, "null", "", "", http.StatusNoContent},
		"every origin":                 {every, origin, "*", "", http.StatusNoContent},
		"every origin beside a listed": {mixed, origin, "*", "", http.StatusNoContent},
		"service credential":           {credentialed, origin, origin, "", http.StatusNoContent},
		"service credential, unlisted": {credentialed, unlisted, "", "", http.StatusForbidden},
		"none by default":              {start(t), origin, "", "", http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(what string, got restResponse) {
				t.Helper()
				if allowed := got.header.Values("Access-Control-Allow-Origin"); strings.Join(allowed, ",") != c.allowed {
					t.Errorf("%s %d allows the origins %q", what, got.status, allowed)
				}
				if values := got.header.Values("Access-Control-Allow-Credentials"); strings.Join(values, ",") != c.credentials {
					t.Errorf("%s %d allows credentials: %q", what, got.status, values)
				}
				// A cache must not give the response for one origin to another.
				if c.allowed == origin && !slices.Contains(strings.Split(got.header.Get("Vary"), ", "), "Origin") {
					t.Errorf("%s %d has Vary %q", what, got.status, got.header.Values("Vary"))
				}
			}
			got := c.h.send(http.MethodOptions, grantPath, "", "Origin", c.origin, "Authorization", "",
				"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization,client-session-token")
			check("preflight", got)
			if got.status != c.preflight {
				t.Errorf("preflight: got %d", got.status)
			}
			if c.allowed != "" && (got.header.Get("Access-Control-Allow-Methods") != "PATCH" ||
				got.header.Get("Access-Control-Allow-Headers") != "authorization,client-session-token") {
				t.Errorf("preflight allows %v", got.header)
			}
			for _, body := range []string{byID, `{}`} {
				got = c.h.grant(body, "Origin", c.origin)
				check("response", got)
				exposed := got.header.Get("Access-Control-Expose-Headers")
				if strings.EqualFold(exposed, "seam-request-id, x-request-id") != (c.allowed != "") {
					t.Errorf("response %d exposes %q", got.status, exposed)
				}
			}
		})
	}
}
