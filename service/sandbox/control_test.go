package sandbox_test

import (
	"testing"

	"github.com/clientsession/client-session-service/service/sandbox"
)

func TestControlRequests(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	list := func() any {
		return g.send("GET", "/_sandbox/requests", "").ok()["requests"]
	}
	sameJSON(t, list(), `[]`)
	g.api("POST", "list", `{}`)
	g.send("GET", "/x?secret=1", "")
	sameJSON(t, list(), `[{"method":"POST","path":"/client_sessions/list"},{"method":"GET","path":"/x"}]`)
	g.send("DELETE", "//_sandbox/requests", "").ok()
	sameJSON(t, list(), `[]`)
}

func TestControlFaults(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	inject := func(body string) reply { return g.send("POST", "/_sandbox/faults", body) }
	inject(`{"path":"/client_sessions/list","times":1,"delay_ms":1,"status":418,"body":"tea",` +
		`"content_type":"text/plain","header":{"retry-after":"9"},"no_request_id":true}`).ok()
	inject(`{"rate_limit":true,"retry_after":2,"times":1}`).ok()
	inject(`{"disconnect":"reset"}`).ok()

	res := g.api("GET", "list", "")
	if res.status != 418 || string(res.body) != "tea" || res.header.Get("Retry-After") != "9" ||
		res.header.Get("Content-Type") != "text/plain" || res.header.Get("Seam-Request-Id") != "" {
		t.Errorf("got %d %q %v", res.status, res.body, res.header)
	}
	if res := g.api("GET", "list", ""); res.status != 429 || res.header.Get("Retry-After") != "2" {
		t.Errorf("got %d %v", res.status, res.header)
	}
	if _, err := g.try(t.Context(), "GET", "/client_sessions/list", ""); err == nil {
		t.Error("no reset")
	}
	g.send("DELETE", "/_sandbox/faults", "").ok()
	g.api("GET", "list", "").ok()

	for _, body := range []string{
		``, `{`, `[]`, `{}{}`, `{"delay":1}`, `{"delay_ms":-1}`, `{"delay_ms":3600001}`, `{"times":"1"}`, `{"status":1}`,
		`{"disconnect":"maybe"}`,
	} {
		if res := inject(body); res.status != 400 || res.json()["error"].(map[string]any)["type"] != "invalid_input" {
			t.Errorf("%s: got %d %s", body, res.status, res.body)
		}
	}
	g.api("GET", "list", "").ok()
}

func TestControlReset(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	reset := func(body string) reply { return g.send("POST", "/_sandbox/reset", body) }
	created := func() any { return g.api("PUT", "create", "").session()["created_at"] }

	reset(`{"now":"2020-02-03T04:05:06.7+01:00"}`).ok()
	if got := created(); got != "2020-02-03T03:05:06.700Z" {
		t.Errorf("created at %v", got)
	}
	expired := g.api("POST", "get", byID(sandbox.ExpiredSessionID)).session()["expires_at"]
	if expired != "2020-02-02T03:05:06.700Z" {
		t.Errorf("expired at %v", expired)
	}
	g.inject(sandbox.Fault{Status: 500})
	for _, body := range []string{``, `{}`, `{"now":null}`} {
		reset(body).ok()
		if got := created(); got != "2026-01-02T03:04:05.678Z" {
			t.Errorf("created at %v", got)
		}
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

func TestControlMethods(t *testing.T) {
	g := newHarness(t, sandbox.Options{})
	g.send("PUT", "/_sandbox/requests", "").fails(405, "method_not_allowed", "only GET,DELETE accepted")
	g.send("GET", "/_sandbox/faults", "").fails(405, "method_not_allowed", "only POST,DELETE accepted")
	g.send("GET", "/_sandbox/reset", "").fails(405, "method_not_allowed", "only POST accepted")
	g.send("POST", "/_sandbox/", "").fails(404, "not_found", "Not found")
}
