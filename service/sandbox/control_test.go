package sandbox_test

import (
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func TestControlRequests(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	list := func() any { return g.send("GET", "/_sandbox/requests", "").ok()["requests"] }
	sameJSON(t, list(), `[]`)
	g.api("POST", "list", `{}`)
	g.send("GET", "/x?secret=1", "")
	sameJSON(t, list(), `[{"method":"POST","path":"/client_sessions/list"},{"method":"GET","path":"/x"}]`)
	g.send("DELETE", "//_sandbox/requests", "").ok()
	sameJSON(t, list(), `[]`)
	g.send("PUT", "/_sandbox/requests", "").fails("405 method_not_allowed: only GET,DELETE accepted")
	g.send("GET", "/_sandbox/faults", "").fails("405 method_not_allowed: only POST,DELETE accepted")
	g.send("GET", "/_sandbox/reset", "").fails("405 method_not_allowed: only POST accepted")
	g.send("POST", "/_sandbox/", "").fails(notFound)
}

func TestControlReset(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	reset := func(body string) reply { return g.send("POST", "/_sandbox/reset", body) }
	reset(`{"now":"2020-02-03T04:05:06.7+01:00"}`).ok()
	g.api("PUT", "create", "").session(`{"created_at":"2020-02-03T03:05:06.700Z"}`)
	g.api("POST", "get", byID(sandbox.ExpiredSessionID)).session(`{"expires_at":"2020-02-02T03:05:06.700Z"}`)
	g.inject(sandbox.Fault{Status: 500})
	for _, body := range []string{``, `{}`, `{"now":null}`} {
		reset(body).ok()
		g.api("PUT", "create", "").session(`{"created_at":"2026-01-02T03:04:05.678Z"}`)
	}
	if n := len(g.api("GET", "list", "").ids()); n != 5 {
		t.Errorf("%d sessions", n)
	}
	for _, body := range []string{`{"now":"yesterday"}`, `{"then":1}`, `x`} {
		if res := reset(body); res.status != 400 {
			t.Errorf("%s: %d", body, res.status)
		}
	}
}

// TestControlRejectsCrossOrigin shows that a page in a browser cannot control a sandbox: neither by a cross-origin
// request nor by DNS rebinding.
func TestControlRejectsCrossOrigin(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	port := g.Addr()[strings.LastIndex(g.Addr(), ":"):]
	const served, site = allowed, "Sec-Fetch-Site"
	const origin = "403 forbidden: The control routes take no cross-origin requests"
	const host = "403 forbidden: The control routes are served under an IP address or localhost only"
	for name, test := range map[string]struct {
		headers []string
		want    string
	}{
		"no browser":                         {nil, served},
		"own page":                           {[]string{"Origin", g.URL(), site, "same-origin"}, served},
		"own page as localhost":              {[]string{"Host", "localhost" + port, "Origin", "http://localhost" + port}, served},
		"own page by IPv6":                   {[]string{"Host", "[::1]" + port, "Origin", "http://[::1]" + port}, served},
		"address bar":                        {[]string{site, "none"}, served},
		"another origin":                     {[]string{"Origin", "https://evil.example"}, origin},
		"another origin that says it is not": {[]string{"Origin", "https://evil.example", site, "same-origin"}, origin},
		"own origin and another":             {[]string{"Origin", g.URL(), "Origin", "https://evil.example"}, origin},
		"no origin of its own":               {[]string{"Origin", "null"}, origin},
		"another port":                       {[]string{"Origin", "http://127.0.0.1:1"}, origin},
		"another scheme":                     {[]string{"Origin", "https://" + g.Addr()}, origin},
		"another name of this machine":       {[]string{"Origin", "http://localhost" + port}, origin},
		"cross-site without an origin":       {[]string{site, "cross-site"}, origin},
		"same-site without an origin":        {[]string{site, "same-site"}, origin},
		"cross-site that claims the origin":  {[]string{"Origin", g.URL(), site, "cross-site"}, origin},
		"localhost without a port":           {[]string{"Host", "localhost"}, served},
		"localhost in upper case":            {[]string{"Host", "LOCALHOST" + port}, served},
		"address without a port":             {[]string{"Host", "192.0.2.1"}, served},
		"IPv6 without a port":                {[]string{"Host", "[2001:db8::1]"}, served},
		"name":                               {[]string{"Host", "evil.example"}, host},
		"rebound name":                       {[]string{"Host", "evil.example" + port, "Origin", "http://evil.example" + port, site, "same-origin"}, host},
		"name like an address":               {[]string{"Host", "127.0.0.1.evil.example" + port}, host},
		"name under localhost":               {[]string{"Host", "evil.localhost" + port}, host},
		"two ports":                          {[]string{"Host", "127.0.0.1:1" + port}, host},
	} {
		t.Run(name, func(t *testing.T) {
			g := g.within(t)
			g.Reset()
			created := g.api("PUT", "create", byKey("someone")).session(`{}`)["client_session_id"].(string)
			for _, route := range [][3]string{
				{"GET", "/_sandbox/requests", ""},
				{"DELETE", "/_sandbox/requests", ""},
				{"POST", "//_sandbox/faults", `{"status":500}`},
				{"DELETE", "/_sandbox/faults", ""},
				{"POST", "/_sandbox/reset", ""},
			} {
				res := g.send(route[0], route[1], route[2], test.headers...)
				res.responds(test.want)
				res.noCORS()
			}
			if test.want == served {
				return
			}
			if n := len(g.Requests()); n != 1 {
				t.Errorf("the refused requests changed the log: %d requests", n)
			}
			g.api("POST", "get", byKey("someone")).session(byID(created))
		})
	}
}

// TestControlHasNoCORS shows that a preflight of a control route fails, so that a browser does not let a page send
// requests that need one.
func TestControlHasNoCORS(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	for _, origin := range []string{"https://evil.example", g.URL()} {
		res := g.send("OPTIONS", "/_sandbox/reset", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		if res.status != 403 && res.status != 405 {
			t.Errorf("status %d for %s", res.status, origin)
		}
		res.noCORS()
	}
}

func (r reply) noCORS() {
	r.t.Helper()
	for name := range r.header {
		if strings.HasPrefix(name, "Access-Control-") {
			r.t.Errorf("%s: the response has %s", r.to, name)
		}
	}
}
