package sandbox_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

const pageOrigin = "https://app.example.com"

// allows checks what a browser checks of any response before it shows it to a page that sent credentials.
func (r reply) allows(origin string) {
	r.t.Helper()
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true", "Vary": "Origin",
	} {
		if got := r.header.Values(name); !slices.Equal(got, []string{want}) {
			r.t.Errorf("%s: %s is %q, want %q", r.to, name, got, want)
		}
	}
}

// TestCORS shows that a page of any origin can read every response of the API, and its request id.
func TestCORS(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, test := range []struct {
		method, path string
		headers      []string
		fault        sandbox.Fault
		status       int
	}{
		{"GET", "/client_sessions/list", withKey(), sandbox.Fault{}, 200},
		{"GET", "//client_sessions/list", withKey(), sandbox.Fault{}, 200},
		{"GET", "/client_sessions/list", nil, sandbox.Fault{}, 401},
		{"DELETE", "/client_sessions/list", withKey(), sandbox.Fault{}, 405},
		{"GET", "/client_sessions", withKey(), sandbox.Fault{}, 404},
		{"POST", "/client_sessions/grant_access", withKey(), sandbox.Fault{}, 400},
		{"GET", "/client_sessions/list", withKey(), sandbox.Fault{RateLimit: true, Times: 1}, 429},
		{"GET", "/client_sessions/list", withKey(), sandbox.Fault{Status: 500, Times: 1}, 500},
	} {
		for _, origin := range []string{pageOrigin, "http://localhost:3000", "null"} {
			if test.fault.Times > 0 {
				g.inject(test.fault)
			}
			res := g.send(test.method, test.path, "", append(test.headers, "Origin", origin)...)
			res.allows(origin)
			if exposed := res.header.Get("Access-Control-Expose-Headers"); exposed != "seam-request-id, retry-after" || res.status != test.status {
				t.Errorf("%s: status %d, exposed is %q", res.to, res.status, exposed)
			}
		}
	}
	// A client that is no browser gets none of it, but a cache must know that a browser would.
	res := g.api("GET", "list", "")
	res.noCORS()
	if res.header.Get("Vary") != "Origin" {
		t.Errorf("Vary is %q", res.header.Get("Vary"))
	}
}

// TestPreflight shows that a page may send every request that an SDK sends. OPTIONS is a method like any other where it
// is no preflight.
func TestPreflight(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.inject(sandbox.Fault{Status: 500, Times: 1})
	for _, requested := range []string{"authorization,content-type,seam-sdk-name,seam-sdk-version,seam-workspace", ""} {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			headers := []string{"Origin", pageOrigin, "Access-Control-Request-Method", method}
			if requested != "" {
				headers = append(headers, "Access-Control-Request-Headers", requested)
			}
			res := g.send("OPTIONS", "/client_sessions/grant_access", "", headers...)
			if res.status != http.StatusOK || len(res.body) != 0 || res.header.Get("seam-request-id") == "" {
				t.Errorf("status %d, %v, %q", res.status, res.header, res.body)
			}
			res.allows(pageOrigin)
			// A browser takes no wildcard for a request with credentials, so the method has to be named.
			methods := strings.Split(res.header.Get("Access-Control-Allow-Methods"), ", ")
			if got := res.header.Get("Access-Control-Allow-Headers"); got != requested || !slices.Contains(methods, method) {
				t.Errorf("allowed are %q with headers %q, requested %s with %q", methods, got, method, requested)
			}
		}
	}
	if res := g.send("OPTIONS", "/client_sessions/list", ""); res.status != 500 {
		t.Errorf("a preflight took the fault: %d", res.status)
	}
	for _, headers := range [][]string{nil, {"Origin", pageOrigin}, {"Access-Control-Request-Method", "POST"}} {
		g.send("OPTIONS", "/client_sessions/list", "", withKey(headers...)...).fails("405 method_not_allowed: only GET,POST accepted")
		g.send("OPTIONS", "/", "", headers...).fails(notFound)
	}
}
