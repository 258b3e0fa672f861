package server_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/server"
	"github.com/clientsession/client-session-service/service/servicetest"
)

const (
	remoteTrace  = "0af7651916cd43dd8448eb211c80319c"
	remoteParent = "b7ad6b7169203331"
	traceparent  = "00-" + remoteTrace + "-" + remoteParent + "-01"
	tracestate   = "vendor=value"
)

// TestSpans shows the spans of a call that is retried: one of the call, in the caller's trace, and one of each request
// to Seam, whose context Seam gets. The log has the trace's id, the attempts, and why there were several.
func TestSpans(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for _, face := range []string{"grpc", "rest"} {
			t.Run(protocol+", "+face, func(t *testing.T) {
				collector := startCollector(t, protocol)
				h := start(t)
				h.inject(sandbox.Fault{Status: 503, Times: 1})
				h.tracedGrant(t, face, "traceparent", traceparent, "tracestate", tracestate, "x-request-id", "call-1")
				h.end()
				spans, service := collector.spans(t)
				if service["service.name"] != "client-session-service" || service["service.version"] != "test" {
					t.Errorf("the service is %v", service)
				}
				if len(spans) != 3 || spans[0].parent != remoteParent {
					t.Fatalf("the spans are %+v", spans)
				}
				at := parseURL(t, h.seamURL)
				port, _ := strconv.Atoi(at.Port())
				requests := h.sandbox.Requests()
				seamID := h.log.calls(t)[0]["seam_request_id"]
				call := map[string]any{
					"rpc.system": "grpc", "rpc.service": "seam.clientsession.v1.ClientSessionService", "rpc.method": "GrantAccess",
					"rpc.grpc.status_code": 0, "client_session_service.face": face, "client_session_service.call_id": "call-1",
					"client_session_service.seam_request_id": seamID,
				}
				if face == "rest" {
					call["http.response.status_code"] = 200
				}
				request := map[string]any{
					"http.request.method": "POST", "url.full": h.seamURL + grantPath, "server.address": at.Hostname(), "server.port": port,
				}
				failed, good := maps.Clone(request), maps.Clone(request)
				failed["http.response.status_code"], failed["error.type"] = 503, "503"
				good["http.response.status_code"], good["http.request.resend_count"] = 200, 1
				unset, failure := tracev1.Status_STATUS_CODE_UNSET, tracev1.Status_STATUS_CODE_ERROR
				for i, want := range []span{
					{name: "seam.clientsession.v1.ClientSessionService/GrantAccess", parent: remoteParent, kind: tracev1.Span_SPAN_KIND_SERVER, status: unset, attributes: call},
					{name: "POST " + grantPath, parent: spans[0].id, kind: tracev1.Span_SPAN_KIND_CLIENT, status: failure, attributes: failed},
					{name: "POST " + grantPath, parent: spans[0].id, kind: tracev1.Span_SPAN_KIND_CLIENT, status: unset, attributes: good},
				} {
					want.trace, want.id, want.state = remoteTrace, spans[i].id, tracestate
					if !reflect.DeepEqual(spans[i], want) {
						t.Errorf("span %d is %+v\nwant %+v", i, spans[i], want)
					}
					if i == 0 {
						continue
					}
					header := requests[i-1].Header
					if got := header.Get("Traceparent"); got != "00-"+remoteTrace+"-"+spans[i].id+"-01" || header.Get("Tracestate") != tracestate {
						t.Errorf("request %d has the context %q, %q", i, got, header.Get("Tracestate"))
					}
				}
				line := h.log.calls(t)[0]
				if line["trace_id"] != remoteTrace || line["attempts"] != 2.0 || line["retry_reason"] != "HTTP status 503, empty body" {
					t.Errorf("the log has %v", line)
				}
			})
		}
	}
}

// tracedGrant makes a good call over a face.
func (h *harness) tracedGrant(t *testing.T, face string, header ...string) {
	t.Helper()
	if face == "rest" {
		if got := h.grant(byID, header...); got.status != http.StatusOK {
			t.Fatalf("got %d %s", got.status, got.text)
		}
		return
	}
	if _, err := h.client().GrantAccess(metadata.AppendToOutgoingContext(authorized(t), header...), grantByID()); err != nil {
		t.Fatal(err)
	}
}

// TestSpansOfRefusals shows the status of spans, that a malformed context is ignored, and what has no span.
func TestSpansOfRefusals(t *testing.T) {
	collector := startCollector(t, "grpc")
	h := start(t)
	if got := h.grant(`{}`, "traceparent", "00-x"); got.status != http.StatusBadRequest {
		t.Errorf("got %d %s", got.status, got.text)
	}
	h.inject(sandbox.Fault{Status: 500, Times: 3})
	if got := h.grant(byID); got.status != http.StatusInternalServerError {
		t.Errorf("got %d %s", got.status, got.text)
	}
	if _, err := healthv1.NewHealthClient(h.conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	h.end()
	spans, _ := collector.spans(t)
	if len(spans) != 5 {
		t.Fatalf("the spans are %+v", spans)
	}
	invalid, failed := spans[0], spans[1]
	if invalid.parent != "" || invalid.trace == failed.trace || invalid.attributes["error.type"] != "invalid_input" ||
		invalid.attributes["rpc.grpc.status_code"] != 3 || invalid.status != tracev1.Status_STATUS_CODE_UNSET {
		t.Errorf("the caller's error is %+v", invalid)
	}
	if failed.attributes["rpc.grpc.status_code"] != 13 || failed.status != tracev1.Status_STATUS_CODE_ERROR {
		t.Errorf("Seam's error is %+v", failed)
	}
	for i, attempt := range spans[2:] {
		if attempt.parent != failed.id || attempt.status != tracev1.Status_STATUS_CODE_ERROR || i > 0 && attempt.attributes["http.request.resend_count"] != i {
			t.Errorf("attempt %d is %+v", i+1, attempt)
		}
	}
}

// TestUntraced shows when calls have no spans, and that then no context of a caller reaches Seam.
func TestUntraced(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"no variable":  {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
		"no exporter":  {"OTEL_TRACES_EXPORTER": "none"},
		"SDK disabled": {"OTEL_SDK_DISABLED": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			collector := startCollector(t, "grpc")
			for variable, value := range env {
				t.Setenv(variable, value)
			}
			h := start(t)
			for _, face := range []string{"grpc", "rest"} {
				h.tracedGrant(t, face, "traceparent", traceparent, "tracestate", tracestate)
			}
			h.end()
			if spans, _ := collector.spans(t); len(spans) > 0 {
				t.Errorf("the spans are %+v", spans)
			}
			for _, request := range h.sandbox.Requests() {
				if request.Header.Get("Traceparent") != "" || request.Header.Get("Tracestate") != "" {
					t.Errorf("Seam got %v", request.Header)
				}
			}
			for _, line := range h.log.calls(t) {
				if line["trace_id"] != nil {
					t.Errorf("the line is %v", line)
				}
			}
		})
	}
}

// TestCollectorIsDown shows that calls succeed without a collector, that the service ends in time, and that the log says
// what is wrong without the credential for the collector.
func TestCollectorIsDown(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20seam_collector1")
			t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
			h := start(t)
			h.tracedGrant(t, "grpc")
			h.end()
			if log := h.log.String(); !strings.Contains(log, "spans were not exported") || strings.Contains(log, "collector1") {
				t.Error("the log does not say what is wrong, or too much of it")
			}
		})
	}
}

// TestTracingVariables shows which variables stop the start.
func TestTracingVariables(t *testing.T) {
	for variable, value := range map[string]string{"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			t.Setenv(variable, value)
			err := server.CheckFiles(config.Config{SeamEndpoint: parseURL(t, "https://seam.example")})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s: %q", variable, value)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestTraceVariablesOfExporters shows which values of the exporters' own variables stop the start, where OpenTelemetry
// would silently use another, and that no error quotes a value.
func TestTraceVariablesOfExporters(t *testing.T) {
	pair := t.TempDir()
	certificate, key := pair+"/tls.crt", pair+"/tls.key"
	certificatePEM, keyPEM := servicetest.NewAuthority(t, "collector").Issue(t, "collector")
	for path, content := range map[string][]byte{certificate: certificatePEM, key: keyPEM} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		variables map[string]string
		want      string // The variable that is at fault.
	}{
		"good": {map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318", "OTEL_EXPORTER_OTLP_TIMEOUT": "1000",
			"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip", "OTEL_EXPORTER_OTLP_CERTIFICATE": certificate,
			"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificate, "OTEL_EXPORTER_OTLP_CLIENT_KEY": key,
			"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25",
		}, ""},
		"no scheme":           {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT"},
		"no host":             {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https:///v1/traces"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"},
		"timeout with a unit": {map[string]string{"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, "OTEL_EXPORTER_OTLP_TIMEOUT"},
		"compression":         {map[string]string{"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, "OTEL_EXPORTER_OTLP_COMPRESSION"},
		"no such file":        {map[string]string{"OTEL_EXPORTER_OTLP_CERTIFICATE": pair + "/none"}, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		"no certificate":      {map[string]string{"OTEL_EXPORTER_OTLP_CERTIFICATE": key}, "OTEL_EXPORTER_OTLP_CERTIFICATE"},
		"no key":              {map[string]string{"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": certificate}, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
		"sampler":             {map[string]string{"OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER"},
		"ratio":               {map[string]string{"OTEL_TRACES_SAMPLER_ARG": "25%"}, "OTEL_TRACES_SAMPLER_ARG"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			for variable, value := range test.variables {
				t.Setenv(variable, value)
			}
			err := server.CheckFiles(config.Config{SeamEndpoint: parseURL(t, "https://seam.example")})
			if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want+": ") {
				t.Fatalf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), test.variables[test.want]) {
				t.Errorf("%v quotes the value", err)
			}
		})
	}
}

// TestSpansHaveNoSecret shows that no credential, of whatever call, gets into a span.
func TestSpansHaveNoSecret(t *testing.T) {
	collector := startCollector(t, "http/protobuf")
	h := startWithCredential(t)
	tried := slices.Concat(identityAttacks(), headerAttacks(), pathAttacks(), bodyAttacks(), tokenAttacks(), frameAttacks())
	for _, a := range tried {
		t.Run(a.name, func(t *testing.T) { _, _ = a.send(t, h) })
	}
	passing := start(t)
	passing.tracedGrant(t, "grpc")
	passing.tracedGrant(t, "rest")
	for _, h := range []*harness{h.harness, passing} {
		h.inject(sandbox.Fault{Status: 400, Body: `{"error":{"type":"some_error","message":"` + sandbox.APIKey + `"}}`})
		h.grant(byID, "Authorization", "Bearer "+ordersToken)
		h.end()
	}
	if spans, _ := collector.spans(t); len(spans) < len(tried)/2 { // What is refused before it is a call has none.
		t.Errorf("there are only %d spans", len(spans))
	}
	h.noSecret(t, "a span", collector.text(t))
}
