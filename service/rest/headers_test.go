package rest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/clientsession/client-session-service/service/rest"
)

// TestResponseHeaders shows the headers that each response has, whatever is asked for: Seam's, the id of the request,
// which is the caller's if that is well formed and which the log has too, and one that keeps caches from keeping a
// session. A 401 has the fixed text that HTTP requires, where the gateway would put the message. There are no others.
// Nor does the gateway read a header that has a meaning to it: a deadline, another method, trailers.
func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	always := []string{"Cache-Control", "Content-Length", "Content-Type", "Date", "Seam-Request-Id", "X-Request-Id"}
	const charset, form = "application/json; charset=utf-8", "application/x-www-form-urlencoded"
	const override, bearer = "X-Http-Method-Override", "Www-Authenticate: Bearer"
	const unknown = `{"client_session_id":"00000000-0000-4000-8000-000000000000"}`
	preflight := []string{"Origin", own, "Access-Control-Request-Method", "POST"}
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		// more is a header beside those of always, with its value.
		more string
	}{
		"success":                 {"POST", grantPath, byID, []string{"Te", "trailers"}, 200, ""},
		"with a charset":          {"POST", grantPath, byID, []string{"Content-Type", charset}, 200, ""},
		"GET":                     {"GET", "/client_sessions/list", "", nil, 200, ""},
		"deadline of gRPC":        {"POST", grantPath, byID, []string{"Grpc-Timeout", "1n"}, 200, ""},
		"invalid one":             {"POST", grantPath, byID, []string{"Grpc-Timeout", "x"}, 200, ""},
		"invalid input":           {"POST", grantPath, `{}`, []string{"Te", "trailers"}, 400, ""},
		"strange content":         {"POST", grantPath, "x", []string{"Content-Type", "text/plain"}, 400, ""},
		"form for another method": {"POST", grantPath, "", []string{"Content-Type", form, override, "PUT"}, 400, ""},
		"Seam's error":            {"POST", grantPath, unknown, nil, 404, ""},
		"Seam's refusal":          {"POST", grantPath, byID, []string{"Authorization", "Bearer seam_x"}, 401, bearer},
		"unauthenticated":         {"POST", grantPath, byID, []string{"Authorization", ""}, 401, bearer},
		"no such path":            {"GET", "/nothing", "", []string{"Accept", "application/grpc"}, 404, ""},
		"escaped path":            {"GET", "/client_sessions%2Fget", "", nil, 404, ""},
		"no such method":          {"PUT", grantPath, byID, []string{override, "POST"}, 405, "Allow: PATCH, POST"},
		"HEAD":                    {"HEAD", "/client_sessions/list", "", nil, 405, "Allow: GET, POST"},
		"OPTIONS":                 {"OPTIONS", grantPath, "", nil, 405, "Allow: PATCH, POST"},
		"preflight":               {"OPTIONS", grantPath, "", preflight, 204, ""},
		"own page":                {"POST", grantPath, byID, []string{"Origin", own, "Host", "any.example"}, 200, ""},
		"other's page":            {"POST", grantPath, byID, []string{"Origin", evil}, 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ofPage := slices.Contains(c.headers, "Origin") // TestCORS shows what else such a response has.
			h := start(t, func(face *rest.Config) {
				if ofPage {
					face.CORSOrigins, face.ServiceCredential = []string{own}, true
				}
			})
			var ids []string
			for sent, used := range map[string]bool{"call-1": true, "two words": false} {
				got := h.send(c.method, c.path, c.body, append([]string{"X-Request-Id", sent}, c.headers...)...)
				id := strings.Join(got.header.Values("X-Request-Id"), ", ")
				if _, err := uuid.Parse(id); got.status != c.status || used && id != sent || !used && err != nil {
					t.Errorf("%d %s, with the id %q for %q", got.status, got.text, id, sent)
				}
				if caching := got.header.Values("Cache-Control"); len(caching) != 1 || caching[0] != "no-store" {
					t.Errorf("Cache-Control is %q", caching)
				}
				if seamID := got.header.Get("Seam-Request-Id"); (seamID == "") != (name == "preflight") {
					t.Errorf("the id of Seam is %q", seamID)
				}
				more, value, _ := strings.Cut(c.more, ": ")
				if got.header.Get(more) != value {
					t.Errorf("%s is %q", more, got.header.Get(more))
				}
				for header := range got.header {
					if !ofPage && !slices.Contains(append(always, more), header) {
						t.Errorf("the response has the header %s", header)
					}
				}
				ids = append(ids, id)
			}
			h.stop()
			for _, id := range ids { // A preflight has no line.
				if n := strings.Count(h.log.String(), `"call_id":"`+id+`"`); (n == 1) != (name != "preflight") {
					t.Errorf("%d lines have the id %s", n, id)
				}
			}
		})
	}
}

// TestPanicOutsideOfCalls shows that a panic where there is no call is a failure with a request id, which the log has
// too. The face has no log here, so that it panics where it would write to it.
func TestPanicOutsideOfCalls(t *testing.T) {
	h := start(t, func(face *rest.Config) { face.Logger = nil })
	got := h.send(http.MethodPost, "/nowhere", "")
	failure := got.failure(t)
	if got.status != http.StatusInternalServerError || failure["type"] != "internal_server_error" ||
		failure["request_id"] != got.header.Get("X-Request-Id") || got.header.Get("Cache-Control") != "no-store" ||
		failure["request_id"] != got.header.Get("Seam-Request-Id") {
		t.Errorf("got %d %s, %v", got.status, got.text, got.header)
	}
	h.stop()
	for _, attribute := range []string{`"msg":"panic"`, `"call_id":"` + got.header.Get("X-Request-Id") + `"`} {
		if strings.Count(h.log.String(), attribute) != 1 {
			t.Errorf("the log has not one %s: %s", attribute, &h.log)
		}
	}
}
