package server_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// adminAs asks the admin listener by another host than its own.
func (h *harness) adminAs(host, path string) int {
	h.t.Helper()
	code, _ := h.ask(http.MethodGet, "http://"+h.at.Admin+path, "", "Host", host)
	return code
}

// TestAdminHost shows that a page in a browser cannot read the admin listener by a name that was pointed at it, also
// where the service has no service credential. Health checks have any Host.
func TestAdminHost(t *testing.T) {
	h := start(t, func(cfg *config.Config) { cfg.AllowedHosts = []string{"metrics.example.com"} })
	for host, want := range map[string]int{
		h.at.Admin: http.StatusOK, "localhost": http.StatusOK, "localhost.": http.StatusOK, "10.1.2.3:9091": http.StatusOK,
		"[2001:db8::1]": http.StatusOK, "metrics.example.com:9091": http.StatusOK, "evil.example:9091": http.StatusForbidden,
		"pod": http.StatusForbidden,
	} {
		for _, path := range []string{"/metrics", "/", "/livez/"} {
			want := want
			if path != "/metrics" && want == http.StatusOK {
				want = http.StatusNotFound
			}
			if code := h.adminAs(host, path); code != want {
				t.Errorf("%s at %s gets %d, want %d", path, host, code, want)
			}
		}
		for _, path := range []string{"/livez", "/readyz", "/healthz"} {
			if code := h.adminAs(host, path); code != http.StatusOK {
				t.Errorf("%s at %s gets %d", path, host, code)
			}
		}
	}
}

// TestAdminRequestThatNeverEnds shows that the admin listener, which has no credentials, keeps no connection whose
// request never arrives completely: not in its headers, and not in a body that nothing reads.
func TestAdminRequestThatNeverEnds(t *testing.T) {
	t.Parallel() // It takes 10 seconds.
	h := start(t)
	var connections []net.Conn
	for _, request := range []string{
		"GET /metrics HTTP/1.1\r\n", "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
		"OPTIONS /readyz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
	} {
		connection := dial(t, h.at.Admin)
		defer connection.Close()
		if _, err := io.WriteString(connection, request); err != nil {
			t.Fatal(err)
		}
		connections = append(connections, connection)
	}
	for _, connection := range connections {
		_ = connection.SetReadDeadline(time.Now().Add(15 * time.Second))
		if reply, err := io.ReadAll(connection); err != nil {
			t.Errorf("after %q the connection is open: %v", reply, err)
		}
	}
}

// TestProbesWithoutHost shows that both listeners answer the health checks of load balancers that speak HTTP/1.0, which
// has no Host. HAProxy sends OPTIONS unless it is told another method.
func TestProbesWithoutHost(t *testing.T) {
	h := start(t)
	for _, address := range []string{h.at.Admin, h.at.HTTP} {
		for _, request := range []string{"GET /readyz", "OPTIONS /readyz", "HEAD /healthz", "GET /livez"} {
			connection := dial(t, address)
			if _, err := io.WriteString(connection, request+" HTTP/1.0\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			reply, err := io.ReadAll(connection)
			if err != nil || !strings.HasPrefix(string(reply), "HTTP/1.0 200 OK\r\n") {
				t.Errorf("%s of %s gets %q, %v", request, address, reply, err)
			}
			_ = connection.Close()
		}
	}
}

// TestProbesBesideUnreadResponses shows that clients which leave their responses unread cannot make the service look as
// if it were not ready.
func TestProbesBesideUnreadResponses(t *testing.T) {
	t.Parallel()
	h := startWithCredential(t, func(cfg *config.Config) { withCertificate(t, cfg) })
	unread("/nowhere")(t, h)
	seamtest.Eventually(t, "all places are taken", func() bool {
		return h.metric(t, `client_session_service_rest_other_requests_total{reason="aborted"}`) > 0
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for path, want := range map[string]int{"/readyz": http.StatusOK, "/nowhere": 0} {
		code := 0 // The response is given up.
		if response, err := client.Get("https://" + h.at.HTTP + path); err == nil {
			code = response.StatusCode
			_ = response.Body.Close()
		}
		if code != want {
			t.Errorf("%s gets %d, want %d", path, code, want)
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
