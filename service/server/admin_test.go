package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/clientsession/client-session-service/service/config"
)

// adminAs asks the admin listener by another host than its own.
func (h *harness) adminAs(host, path string) int {
	h.t.Helper()
	code, _ := h.ask(http.MethodGet, "http://"+h.at.Admin+path, "", "Host", host)
	return code
}

// TestAdminHost shows that a page in a browser cannot read the admin listener by a name that was pointed at it, also
// where the service has no service credential.
func TestAdminHost(t *testing.T) {
	h := start(t, func(cfg *config.Config) { cfg.AllowedHosts = []string{"metrics.example.com"} })
	for host, want := range map[string]int{
		h.at.Admin: http.StatusOK, "localhost": http.StatusOK, "10.1.2.3:9091": http.StatusOK, "[2001:db8::1]": http.StatusOK,
		"metrics.example.com:9091": http.StatusOK, "evil.example:9091": http.StatusForbidden, "pod": http.StatusForbidden,
	} {
		for _, path := range []string{"/livez", "/readyz", "/healthz", "/metrics"} {
			if code := h.adminAs(host, path); code != want {
				t.Errorf("%s at %s gets %d, want %d", path, host, code, want)
			}
		}
	}
}

// TestOpenMetrics shows that a scraper that asks for OpenMetrics, the format that has exemplars, gets it.
func TestOpenMetrics(t *testing.T) {
	h := start(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.at.Admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	response, err := h.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if kind := response.Header.Get("Content-Type"); err != nil || !strings.HasPrefix(kind, "application/openmetrics-text") ||
		!strings.HasSuffix(string(text), "\n# EOF\n") {
		t.Errorf("got %s, %v, which ends in %q", kind, err, text[max(0, len(text)-20):])
	}
	// A counter is a family without the _total of its samples, and no two families may have one name.
	named := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[1] == "TYPE" {
			if named[fields[2]] {
				t.Errorf("two families have the name %s", fields[2])
			}
			named[fields[2]] = true
		}
	}
	if len(named) < 50 {
		t.Errorf("only %d families", len(named))
	}
}
