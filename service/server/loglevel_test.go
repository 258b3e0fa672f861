package server_test

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/clientsession/client-session-service/service/config"
)

// setLogLevel asks the admin listener for another level.
func (h *harness) setLogLevel(method, level string, header ...string) (int, string) {
	h.t.Helper()
	return h.ask(method, "http://"+h.at.Admin+"/loglevel", level, header...)
}

// startWithLevel runs the service with a log whose level can change.
func startWithLevel(t *testing.T) (*harness, *slog.LevelVar) {
	t.Helper()
	level := &slog.LevelVar{}
	return start(t, func(cfg *config.Config) { cfg.LogLevel = level }), level
}

// TestLogLevelChanges shows that the level of the log can be changed while the service runs, and that the log says so.
func TestLogLevelChanges(t *testing.T) {
	t.Parallel()
	h, _ := startWithLevel(t)
	check := func() {
		t.Helper()
		if _, err := healthv1.NewHealthClient(h.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	check() // At the level info it has no line.
	for _, next := range []string{"debug", "ERROR", " info\n", "warn", "error", "debug"} {
		want := strings.ToLower(strings.TrimSpace(next)) + "\n"
		if code, text := h.setLogLevel(http.MethodPut, next); code != http.StatusOK || text != want {
			t.Errorf("%q gets %d %q", next, code, text)
		}
		if code, text := h.admin("/loglevel"); code != http.StatusOK || text != want {
			t.Errorf("after %q, the level is %d %q", next, code, text)
		}
	}
	check()
	h.end()
	if n := strings.Count(h.log.String(), `"msg":"log level changed"`); n != 6 {
		t.Errorf("%d changes are in the log", n)
	}
	if lines := h.log.calls(t); len(lines) != 1 || lines[0]["level"] != "DEBUG" {
		t.Errorf("the lines about health are %v", lines)
	}
}

// TestLogLevelIsKept shows what does not change the level: an unknown one, another method, and a page in a browser.
func TestLogLevelIsKept(t *testing.T) {
	t.Parallel()
	h, level := startWithLevel(t)
	for name, test := range map[string]struct {
		method, level string
		header        []string
		want          int
	}{
		"unknown":            {http.MethodPut, "loud", nil, http.StatusBadRequest},
		"empty":              {http.MethodPut, "", nil, http.StatusBadRequest},
		"long":               {http.MethodPut, "debug" + strings.Repeat(" ", 1<<20), nil, http.StatusBadRequest},
		"other method":       {http.MethodPost, "debug", nil, http.StatusMethodNotAllowed},
		"cross-site":         {http.MethodPut, "debug", []string{"Sec-Fetch-Site", "cross-site"}, http.StatusForbidden},
		"other origin":       {http.MethodPut, "debug", []string{"Origin", "https://evil.example"}, http.StatusForbidden},
		"preflight":          {http.MethodOptions, "", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"}, http.StatusMethodNotAllowed},
		"rebound name":       {http.MethodPut, "debug", []string{"Host", "evil.example"}, http.StatusForbidden},
		"rebound, same site": {http.MethodPut, "debug", []string{"Host", "evil.example", "Sec-Fetch-Site", "same-origin"}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if code, text := h.setLogLevel(test.method, test.level, test.header...); code != test.want {
				t.Errorf("got %d %s", code, text)
			}
			if level.Level() != slog.LevelInfo {
				t.Errorf("the level is %s", level.Level())
			}
		})
	}
}
