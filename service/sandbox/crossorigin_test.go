package sandbox_test

import (
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestControlRejectsCrossOrigin shows that a page in a browser cannot control a sandbox: neither by a cross-origin
// request nor by DNS rebinding.
func TestControlRejectsCrossOrigin(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	address := strings.TrimPrefix(g.url, "http://")
	port := address[strings.LastIndex(address, ":"):]
	const origin, site = "The control routes take no cross-origin requests", "Sec-Fetch-Site"
	const host = "The control routes are served under an IP address or localhost only"
	tests := []struct {
		name    string
		headers []string
		refused string // refused is the message, empty for a request that is served.
	}{
		{"no browser", nil, ""},
		{"own page", []string{"Origin", g.url, site, "same-origin"}, ""},
		{"own page as localhost", []string{"Host", "localhost" + port, "Origin", "http://localhost" + port}, ""},
		{"own page by IPv6", []string{"Host", "[::1]" + port, "Origin", "http://[::1]" + port}, ""},
		{"address bar", []string{site, "none"}, ""},
		{"another origin", []string{"Origin", "https://evil.example"}, origin},
		{"another origin that says it is not", []string{"Origin", "https://evil.example", site, "same-origin"}, origin},
		{"no origin of its own", []string{"Origin", "null"}, origin},
		{"another port", []string{"Origin", "http://127.0.0.1:1"}, origin},
		{"another scheme", []string{"Origin", "https://" + address}, origin},
		{"another name of this machine", []string{"Origin", "http://localhost" + port}, origin},
		{"cross-site without an origin", []string{site, "cross-site"}, origin},
		{"same-site without an origin", []string{site, "same-site"}, origin},
		{"cross-site that claims the origin", []string{"Origin", g.url, site, "cross-site"}, origin},
		{"localhost without a port", []string{"Host", "localhost"}, ""},
		{"localhost in upper case", []string{"Host", "LOCALHOST" + port}, ""},
		{"address without a port", []string{"Host", "192.0.2.1"}, ""},
		{"IPv6 without a port", []string{"Host", "[2001:db8::1]"}, ""},
		{"name", []string{"Host", "evil.example"}, host},
		{"rebound name", []string{"Host", "evil.example" + port, "Origin", "http://evil.example" + port, site, "same-origin"}, host},
		{"name like an address", []string{"Host", "127.0.0.1.evil.example" + port}, host},
		{"name under localhost", []string{"Host", "evil.localhost" + port}, host},
		{"two ports", []string{"Host", "127.0.0.1:1" + port}, host},
	}
	routes := []struct{ method, path, body string }{
		{"GET", "/_sandbox/requests", ""},
		{"DELETE", "/_sandbox/requests", ""},
		{"POST", "//_sandbox/faults", `{"status":500}`},
		{"DELETE", "/_sandbox/faults", ""},
		{"POST", "/_sandbox/reset", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g.Reset()
			created := g.api("PUT", "create", byKey("someone")).session()["client_session_id"]
			for _, route := range routes {
				res := g.send(route.method, route.path, route.body, test.headers...)
				if test.refused == "" {
					res.ok()
				} else {
					res.fails(403, "forbidden", test.refused)
				}
				noCORS(t, res)
			}
			if test.refused == "" {
				return
			}
			if n := len(g.Requests()); n != 1 {
				t.Errorf("the refused requests changed the log: %d requests", n)
			}
			if got := g.api("GET", "get?user_identifier_key=someone", "").session()["client_session_id"]; got != created {
				t.Errorf("the refused requests changed the data: %v", got)
			}
		})
	}
}

// TestControlHasNoCORS shows that a preflight of a control route fails, so that a browser does not let a page send
// requests that need one.
func TestControlHasNoCORS(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, origin := range []string{"https://evil.example", g.url} {
		res := g.send("OPTIONS", "/_sandbox/reset", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		if res.status != 403 && res.status != 405 {
			t.Errorf("status %d for %s", res.status, origin)
		}
		noCORS(t, res)
	}
}

func noCORS(t *testing.T, res reply) {
	t.Helper()
	for name := range res.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("a control route responds with %s", name)
		}
	}
}
