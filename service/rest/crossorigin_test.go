package rest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/rest"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestCORS shows which origins may call, and which with credentials, as Seam's JavaScript SDK does with a client
// session token: only listed origins, and those with credentials only in pass-through mode.
func TestCORS(t *testing.T) {
	t.Parallel()
	const headers = "authorization,client-session-token"
	for name, c := range map[string]struct {
		origins           []string
		serviceCredential bool
		origin            string
		// allowed and credentials are Access-Control-Allow-Origin and -Credentials.
		allowed, credentials string
		preflight            int
	}{
		"listed":                       {[]string{own}, false, own, own, "true", http.StatusNoContent},
		"unlisted":                     {[]string{own}, false, evil, "", "", http.StatusNoContent},
		"page without an origin":       {[]string{own}, false, "null", "", "", http.StatusNoContent},
		"every origin":                 {[]string{"*"}, false, own, "*", "", http.StatusNoContent},
		"every origin beside a listed": {[]string{own, "*"}, false, own, "*", "", http.StatusNoContent},
		"service credential":           {[]string{own}, true, own, own, "", http.StatusNoContent},
		"service credential, unlisted": {[]string{own}, true, evil, "", "", http.StatusForbidden},
		"none by default":              {nil, false, own, "", "", http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(face *rest.Config) {
				face.CORSOrigins, face.ServiceCredential, face.APIDocs = c.origins, c.serviceCredential, true
			})
			check := func(what string, got response) {
				t.Helper()
				if allowed := got.header.Values("Access-Control-Allow-Origin"); strings.Join(allowed, ",") != c.allowed {
					t.Errorf("%s %d allows the origins %q", what, got.status, allowed)
				}
				if values := got.header.Values("Access-Control-Allow-Credentials"); strings.Join(values, ",") != c.credentials {
					t.Errorf("%s %d allows credentials: %q", what, got.status, values)
				}
				// A cache must not give the response for one origin to another.
				vary := strings.Split(strings.Join(got.header.Values("Vary"), ", "), ", ")
				if len(c.origins) > 0 && !slices.Contains(vary, "Origin") {
					t.Errorf("%s %d has Vary %q", what, got.status, got.header.Values("Vary"))
				}
			}
			got := h.send(http.MethodOptions, grantPath, "", "Origin", c.origin, "Authorization", "",
				"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", headers)
			check("preflight", got)
			if got.status != c.preflight {
				t.Errorf("preflight: got %d", got.status)
			}
			if c.allowed != "" && (got.header.Get("Access-Control-Allow-Methods") != "PATCH" ||
				got.header.Get("Access-Control-Allow-Headers") != headers) {
				t.Errorf("preflight allows %v", got.header)
			}
			for _, body := range []string{byID, `{}`} {
				got = h.grant(body, "Origin", c.origin)
				check("response", got)
				exposed := got.header.Get("Access-Control-Expose-Headers")
				if strings.EqualFold(exposed, "seam-request-id, x-request-id, retry-after") != (c.allowed != "") {
					t.Errorf("response %d exposes %q", got.status, exposed)
				}
			}
			check("document", h.send(http.MethodGet, "/openapi.json", "", "Origin", c.origin))
			check("script of the API page", h.send(http.MethodGet, "/docs/swagger-ui-bundle.js", "", "Origin", c.origin))
			sunset := map[string]string{"Sunset": "s"}
			h.must(h.sandbox.Inject(sandbox.Fault{Status: 200, Body: `{"ok":true}`, Header: sunset}))
			got = h.grant(byID, "Origin", c.origin)
			exposed := strings.Join(got.header.Values("Access-Control-Expose-Headers"), ", ")
			if strings.HasSuffix(exposed, ", sunset") != (c.allowed != "") {
				t.Errorf("response %d with another header of Seam exposes %q", got.status, exposed)
			}
		})
	}
}

// TestCrossOriginPages shows that a page in a browser cannot use the service credential of a service that does not
// authenticate its callers: neither by a cross-origin request (CSRF) nor by DNS rebinding.
func TestCrossOriginPages(t *testing.T) {
	const host, rebound, site = "sessions.example.com", "evil.example", "Sec-Fetch-Site"
	h := start(t, func(face *rest.Config) {
		face.CORSOrigins, face.ServiceCredential, face.RequireKnownHost = []string{own}, true, true
		face.Hosts = rest.Hosts{Names: []string{host}, LoopbackOnly: true}
	})
	const get, deletion = "/client_sessions/get", "/client_sessions/delete"
	allowed, refused := 0, 0
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		status       int
	}{
		"no browser":             {"GET", get, nil, 200},
		"localhost":              {"GET", get, []string{"Host", "localhost:8080"}, 200},
		"a listed origin":        {"GET", get, []string{"Origin", own, site, "cross-site"}, 200},
		"another origin":         {"GET", get, []string{"Origin", evil}, 403},
		"an opaque origin":       {"GET", get, []string{"Origin", "null"}, 403},
		"an image in a page":     {"GET", get, []string{site, "cross-site"}, 403},
		"a form in a page":       {"POST", deletion, []string{"Origin", evil, "Content-Type", "text/plain"}, 403},
		"a page on another port": {"GET", get, []string{site, "same-site"}, 403},
		"a page of its own": {
			"GET", get, []string{"Host", host, "Origin", "https://" + host, site, "same-origin"}, 200,
		},
		"one by DNS rebinding": {"GET", get, []string{"Host", rebound, "Origin", evil, site, "same-origin"}, 403},
		"an allowed host":      {"GET", get, []string{"Host", host}, 200},
		"DNS rebinding":        {"GET", get, []string{"Host", rebound + ":8080"}, 403},
		"another address":      {"GET", get, []string{"Host", "192.0.2.1:8080"}, 403},
	} {
		got := h.send(c.method, c.path+"?client_session_id="+sandbox.SessionID, "", c.headers...)
		if got.status != c.status {
			t.Errorf("%s gets %d %s", name, got.status, got.text)
		}
		if c.status == http.StatusOK {
			allowed++
		} else {
			refused++
		}
	}
	if reached := len(h.sandbox.Requests()); reached != allowed {
		t.Errorf("%d requests reached Seam, want %d", reached, allowed)
	}
	h.stop()
	if lines := strings.Count(h.log.String(), `"msg":"cross-origin request refused"`); lines != refused {
		t.Errorf("%d lines in the log about refused requests, want %d", lines, refused)
	}
}
