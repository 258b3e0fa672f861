package server_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// metricCause is what makes the value of a series change.
type metricCause struct {
	series string
	// configure makes the configuration of the service, nil for that of the tests. With callers, the service has a
	// service credential and a callers file.
	configure func(*testing.T, *config.Config)
	callers   bool
	// cause happens while the service runs. It is nil where the configuration alone is the cause: then the value is 0
	// without it. What it holds up is let go when the test's context ends.
	cause func(*testing.T, *credentialHarness)
}

// The labels of calls of GrantAccess and of an unknown method.
const (
	rpcLabels     = `grpc_method="GrantAccess",grpc_service="seam.clientsession.v1.ClientSessionService",grpc_type="unary"`
	unknownLabels = `grpc_method="unknown",grpc_service="unknown",grpc_type="unary"`
)

// metricCauses has a row for each metric of the service, and one for each value of the labels that name a cause.
func metricCauses() []metricCause {
	const (
		own      = "client_session_service_"
		attempts = own + `upstream_attempts_total{attempt="1",outcome=`
		refused  = own + "refused_total{limit="
		status   = own + `upstream_requests_total{endpoint="/client_sessions/grant_access",status_class=`
		other    = own + "rest_other_requests_total{reason="
		answered = own + `rest_responses_total{grpc_method="GrantAccess",status_class=`
	)
	return []metricCause{
		{series: `grpc_server_started_total{face="grpc",` + rpcLabels + "}", cause: granted},
		{series: `grpc_server_started_total{face="rest",` + rpcLabels + "}", cause: granted},
		{series: `grpc_server_started_total{face="grpc",` + unknownLabels + "}", cause: unknownCall},
		{series: `grpc_server_handled_total{face="grpc",grpc_code="OK",` + rpcLabels + "}", cause: granted},
		{series: `grpc_server_handled_total{face="rest",grpc_code="InvalidArgument",` + rpcLabels + "}", cause: posting("{}")},
		{series: `grpc_server_handling_seconds_count{face="grpc",` + rpcLabels + "}", cause: granted},
		{series: `grpc_server_handling_seconds_count{face="rest",` + rpcLabels + "}", cause: granted},

		{series: answered + `"2xx"}`, cause: granted},
		{series: answered + `"4xx"}`, cause: posting("{}")},
		{series: answered + `"5xx"}`, cause: faulty(sandbox.Fault{Status: 500})},
		{series: other + `"no_route"}`, cause: requesting(http.MethodGet, "/nowhere")},
		{series: other + `"method_not_allowed"}`, cause: requesting(http.MethodGet, grantPath)},
		{series: other + `"method_not_allowed"}`, cause: requesting(http.MethodPost, "/openapi.json")},
		{series: other + `"aborted"}`, configure: withCertificate, cause: unread("/nowhere")},
		{series: other + `"aborted"}`, configure: withCertificate, cause: unread("/readyz")},
		{series: other + `"cross_origin"}`, callers: true, cause: requesting(http.MethodPost, grantPath, "Origin", "https://evil.example")},
		{
			series: other + `"preflight"}`, configure: func(_ *testing.T, cfg *config.Config) { cfg.CORSOrigins = []string{"*"} },
			cause: requesting(http.MethodOptions, grantPath, "Origin", "https://a.example", "Access-Control-Request-Method", "POST"),
		},

		{series: own + "in_flight", cause: func(t *testing.T, h *credentialHarness) { t.Helper(); t.Cleanup(h.hold(1, ordersToken)) }},
		{series: own + "upstream_in_flight", cause: func(t *testing.T, h *credentialHarness) { t.Helper(); t.Cleanup(h.hold(1, ordersToken)) }},
		{
			series: own + "upstream_response_bytes",
			cause:  func(t *testing.T, h *credentialHarness) { t.Helper(); t.Cleanup(h.hold(1, ordersToken)) },
		},
		{series: own + "log_lines_dropped_total", cause: func(_ *testing.T, h *credentialHarness) { h.droppedLines.Add(1) }},
		{series: own + "grpc_streams", cause: watching(1)},
		{series: own + `connections{face="grpc"}`, cause: watching(1)},
		{series: own + `connections{face="rest"}`, cause: dialing(1)},
		{series: own + "requests_arriving", cause: incomplete(1)},
		{series: own + "request_buffer_bytes", cause: incomplete(1)},
		{series: refused + `"in_flight"}`, configure: maxInFlight(1), cause: func(t *testing.T, h *credentialHarness) {
			t.Helper()
			t.Cleanup(h.hold(1, ordersToken))
			h.grant(byID)
		}},
		{
			series: refused + `"caller"}`, cause: repeated(3, granted),
			configure: func(_ *testing.T, cfg *config.Config) { cfg.CallerRPS = 0.01 },
		},
		{series: refused + `"caller_share"}`, configure: maxInFlight(4), cause: func(t *testing.T, h *credentialHarness) {
			t.Helper()
			h.grant(byID) // The first key is proven, and the other one is another caller.
			h.sandbox.ClearRequests()
			t.Cleanup(h.hold(4, sandbox.APIKey, sandbox.APIKey, sandbox.APIKey, ordersToken))
			h.grant(byID)
		}},
		{series: refused + `"response_bytes"}`, cause: longLists},
		{series: refused + `"streams"}`, cause: watching(257)},
		{series: refused + `"request_buffer"}`, configure: maxInFlight(1), cause: incomplete(65)},
		{series: refused + `"request_bytes"}`, configure: maxInFlight(64), cause: longBodies},
		{
			series: refused + `"request_time"}`, cause: incomplete(1),
			configure: func(_ *testing.T, cfg *config.Config) { cfg.MaxTimeout = time.Second },
		},
		{series: own + "max_in_flight", configure: maxInFlight(1)},
		{series: own + "build_info{version=\"test\"}"},
		{series: own + "anonymous", configure: func(_ *testing.T, cfg *config.Config) { cfg.SeamAPIKey = sandbox.APIKey }},
		{series: own + "certificate_expiration_timestamp_seconds", configure: withCertificate},
		spoiledCallers(own + "reload_failures_total"),
		{
			series: own + "service_credential_refused_total", callers: true,
			configure: func(_ *testing.T, cfg *config.Config) { cfg.SeamAPIKey = "seam_apikey_unknown" },
			cause:     granted,
		},

		{series: status + `"none"}`, cause: faulty(sandbox.Fault{Disconnect: sandbox.DisconnectReset})},
		{
			series: status + `"1xx"}`, cause: granted,
			configure: upstream(seamtest.Fault{Request: seamtest.Say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", seamtest.Close)}),
		},
		{series: status + `"2xx"}`, cause: granted},
		{series: status + `"3xx"}`, cause: faulty(sandbox.Fault{Status: 302})},
		{series: status + `"4xx"}`, cause: faulty(sandbox.Fault{Status: 404})},
		{series: status + `"5xx"}`, cause: faulty(sandbox.Fault{Status: 500})},
		{series: own + `upstream_request_seconds_count{endpoint="/client_sessions/grant_access"}`, cause: granted},
		{series: attempts + `"success"}`, cause: granted},
		{series: attempts + `"rejected"}`, cause: faulty(sandbox.Fault{Status: 404})},
		{series: attempts + `"rate_limited"}`, cause: faulty(sandbox.Fault{RateLimit: true})},
		{series: attempts + `"not_sent"}`, configure: upstream(seamtest.Fault{Down: true}), cause: granted},
		{
			series: attempts + `"not_processed"}`, cause: granted,
			configure: upstream(seamtest.Fault{Stream: func(s seamtest.Stream) seamtest.Then {
				return s.Reset(http2.ErrCodeRefusedStream)
			}}),
		},
		{series: attempts + `"unavailable"}`, cause: faulty(sandbox.Fault{Status: 503})},
		{series: attempts + `"failed"}`, cause: faulty(sandbox.Fault{Status: 500})},
		{series: attempts + `"connection_lost"}`, cause: faulty(sandbox.Fault{Disconnect: sandbox.DisconnectReset})},
		{
			series: attempts + `"timeout"}`, cause: faulty(sandbox.Fault{Delay: time.Minute}),
			configure: func(_ *testing.T, cfg *config.Config) { cfg.DefaultTimeout = 100 * time.Millisecond },
		},
		{series: attempts + `"truncated"}`, cause: faulty(sandbox.Fault{Disconnect: sandbox.DisconnectTruncate})},
		{series: attempts + `"malformed"}`, cause: faulty(sandbox.Fault{Status: 200, Body: "[]"})},
		{
			series: attempts + `"out_of_memory"}`, cause: longLists,
		},
		{
			series: attempts + `"too_large"}`, cause: faulty(sandbox.Fault{Disconnect: sandbox.DisconnectEndless}),
			configure: func(_ *testing.T, cfg *config.Config) { cfg.MaxResponseMiB = 1 },
		},
		{series: attempts + `"canceled"}`, cause: func(t *testing.T, h *credentialHarness) { t.Helper(); h.hold(1, ordersToken)() }},
		{series: own + "upstream_connections_total", cause: granted},
		{series: own + `upstream_connections_open{protocol="h2"}`, cause: granted},
		{
			series: own + `upstream_connections_open{protocol="http/1.1"}`, cause: granted,
			configure: upstream(seamtest.Fault{Request: seamtest.Say(seamtest.Response("200 OK", seamtest.Success), seamtest.KeepOpen)}),
		},
		{
			series: own + "upstream_abandoned", cause: faulty(sandbox.Fault{Delay: time.Minute}),
			configure: func(_ *testing.T, cfg *config.Config) { cfg.DefaultTimeout = 100 * time.Millisecond },
		},
		{series: own + "upstream_retry_budget", cause: faulty(sandbox.Fault{Status: 503})},
		{series: own + "upstream_retries_denied_total", cause: repeated(6, faulty(sandbox.Fault{Status: 503}))},
		{series: own + "upstream_refused_total", cause: repeated(30, faulty(sandbox.Fault{Status: 503}))},
		{series: own + "upstream_callers_cut_off", cause: repeated(30, faulty(sandbox.Fault{Status: 503}))},
		{series: own + "upstream_breaker_state", configure: manyCallers, cause: func(t *testing.T, h *credentialHarness) {
			t.Helper()
			h.inject(sandbox.Fault{Status: 503})
			for i := range callerCount {
				h.grant(byID, "Authorization", "Bearer "+callerToken(i))
			}
		}},
	}
}

// TestMetricCauses shows that each metric moves when its cause happens, and is there before.
func TestMetricCauses(t *testing.T) {
	t.Parallel()
	for _, c := range metricCauses() {
		t.Run(c.series, func(t *testing.T) {
			t.Parallel()
			h := &credentialHarness{harness: start(t, func(cfg *config.Config) {
				if c.callers {
					cfg.SeamAPIKey = sandbox.APIKey
					cfg.CallersFile, _ = writeCallers(t, t.TempDir())
				}
				if c.configure != nil {
					c.configure(t, cfg)
				}
			})}
			before := h.metric(t, c.series)
			if c.cause == nil {
				if before == 0 {
					t.Error("it is 0")
				}
				return
			}
			c.cause(t, h)
			seamtest.Eventually(t, c.series+" to move", func() bool { return h.metric(t, c.series) != before })
		})
	}
}

// TestMetricCausesAreComplete shows that no metric of the golden file lacks a row, nor any value of a label that names a
// cause. TestPanics has the one metric that no caller can move, TestTooManyConnections the one that a thousand
// connections move.
func TestMetricCausesAreComplete(t *testing.T) {
	rows := []string{"client_session_service_panics_total", `client_session_service_refused_total{limit="connections"}`}
	for _, c := range metricCauses() {
		rows = append(rows, c.series)
	}
	has := func(name, label string) bool {
		return slices.ContainsFunc(rows, func(series string) bool {
			of, _, _ := strings.Cut(series, "{")
			return strings.TrimSuffix(of, "_count") == name && strings.Contains(series, label)
		})
	}
	golden, err := os.ReadFile(metricsGolden)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(golden)) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(fields[0], "client_session_service_") && !strings.HasPrefix(fields[0], "grpc_server_") {
			continue // Those of libraries.
		}
		checked++
		if !has(fields[0], "") {
			t.Errorf("no row moves %s", fields[0])
		}
		for _, label := range fields[2:] {
			name, values, _ := strings.Cut(label, "=")
			for value := range strings.SplitSeq(values, "|") {
				if named := fmt.Sprintf("%s=%q", name, value); slices.Contains([]string{"limit", "reason", "outcome", "status_class", "face"}, name) && !has(fields[0], named) {
					t.Errorf("no row moves %s{%s}", fields[0], named)
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d metrics", checked)
	}
}
