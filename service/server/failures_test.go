package server_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// secrets are the values in the cases that must not come out anywhere.
func secrets() []string {
	return []string{sandbox.APIKey, "seam_secret", sandbox.SessionToken}
}

// TestFailures replays every failing case over both faces: each says what it should, nothing is granted, and no secret
// is in a response, in the log or in the metrics. Over gRPC each has its line in the log and its count in the metrics.
func TestFailures(t *testing.T) {
	t.Parallel()
	audited := func(cfg *config.Config) { cfg.AuditLog = true }
	healthy := start(t, audited) // Serves all the cases in which Seam does nothing wrong.
	for _, c := range failures() {
		t.Run(c.name, func(t *testing.T) {
			h := healthy
			if c.seamDown || c.timeout != 0 || !reflect.DeepEqual(c.fault, sandbox.Fault{}) {
				h = start(t, audited, func(cfg *config.Config) {
					if c.seamDown {
						cfg.SeamEndpoint = parseURL(t, "https://127.0.0.1:1")
					}
					cfg.DefaultTimeout, cfg.MaxResponseMiB = cmp.Or(c.timeout, cfg.DefaultTimeout), 1
				})
			}
			t.Run("grpc", func(t *testing.T) { c.replay(t, h, c.checkGRPC) })
			t.Run("rest", func(t *testing.T) { c.replay(t, h, c.checkREST) })
		})
	}
}

func (c failureCase) replay(t *testing.T, h *harness, check func(*testing.T, *harness) string) {
	h.t = t
	before := h.grants()
	h.sandbox.ClearRequests()
	if !reflect.DeepEqual(c.fault, sandbox.Fault{}) {
		h.inject(c.fault)
	}
	response := check(t, h)
	h.sandbox.ClearFaults()
	if got := len(h.sandbox.Requests()); got != c.reached {
		t.Errorf("%d requests reached Seam, want %d", got, c.reached)
	}
	if after := h.grants(); after != before {
		t.Errorf("something was granted: the session is now %s", after)
	}
	_, metrics := h.admin("/metrics")
	for where, text := range map[string]string{"response": response, "log": h.log.String(), "metrics": metrics} {
		for _, secret := range secrets() {
			if strings.Contains(text, secret) {
				t.Errorf("the %s holds the secret %s: %.1000s", where, secret, text)
			}
		}
	}
	// The service is none the worse for it.
	if !c.seamDown {
		if got := h.grant(byID); got.status != http.StatusOK {
			t.Errorf("a good call afterwards gets %d %s", got.status, got.text)
		}
	}
}

// checkGRPC makes the call over gRPC and returns all of its response as text.
func (c failureCase) checkGRPC(t *testing.T, h *harness) string {
	ctx := t.Context()
	if c.credential != "none" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", cmp.Or(c.credential, "Bearer "+sandbox.APIKey))
	}
	counter := fmt.Sprintf(`grpc_server_handled_total{face="grpc",grpc_code=%q,%s}`, c.code.String(), c.labels())
	counted := (&credentialHarness{harness: h}).metric(t, counter)
	var header, trailer metadata.MD
	err := h.invoke(ctx, cmp.Or(c.rpc, clientsessionv1.ClientSessionService_GrantAccess_FullMethodName),
		c.message, c.raw, grpc.Header(&header), grpc.Trailer(&trailer))
	st := status.Convert(err)
	text := st.Proto().String()
	if c.overGRPC != nil {
		c.errorType, c.status, c.text, c.local = c.overGRPC.errorType, c.overGRPC.status, c.overGRPC.text, c.overGRPC.local
	}
	if st.Code() != c.code {
		t.Errorf("code %s, want %s (%s)", st.Code(), c.code, text)
	}
	if want := cmp.Or(c.grpcMessage, c.text); st.Message() != want {
		t.Errorf("message %q, want %q", st.Message(), want)
	}
	d := details(t, st)
	wantReason := strings.ToUpper(c.errorType)
	if c.noEnvelope {
		wantReason = strings.ToUpper(strings.ReplaceAll(http.StatusText(c.status), " ", "_"))
	}
	if d.info.GetReason() != wantReason || d.info.GetMetadata()["type"] != strings.ToLower(wantReason) ||
		d.info.GetMetadata()["http_status"] != strconv.Itoa(c.status) {
		t.Errorf("ErrorInfo is %v, want reason and type %s, http_status %d", d.info, wantReason, c.status)
	}
	if own := d.info.GetDomain() == "client-session-service"; own != (c.local || c.noEnvelope) {
		t.Errorf("domain %s: want it to be the service's own: %t", d.info.GetDomain(), c.local || c.noEnvelope)
	}
	ids := trailer.Get("seam-request-id")
	if len(ids) != 1 || ids[0] == "" || d.request.GetRequestId() != ids[0] {
		t.Errorf("RequestInfo names %q, the trailer %q: want the same one", d.request.GetRequestId(), ids)
	}
	if got := (&credentialHarness{harness: h}).metric(t, counter); got != counted+1 {
		t.Errorf("%s is %g and was %g", counter, got, counted)
	}
	seamtest.Eventually(t, "the call to have its line in the log", func() bool {
		return slices.ContainsFunc(h.log.calls(t), func(line map[string]any) bool {
			id := fmt.Sprint(cmp.Or(line["seam_request_id"], line["call_id"]))
			return line["code"] == c.code.String() && slices.Contains(ids, id)
		})
	})
	if len(header.Get("seam-request-id")) > 0 {
		t.Error("there are headers before the status, so no client would try again")
	}
	if got := d.fields(); !slices.Equal(got, c.grpcFields()) {
		t.Errorf("violations of %q, want %q", got, c.grpcFields())
	}
	if got := int(d.retry.GetRetryDelay().AsDuration().Seconds()); got != c.retryAfter {
		t.Errorf("RetryInfo says %d seconds, want %d", got, c.retryAfter)
	}
	if unknown := d.info.GetMetadata()["outcome"] == "unknown"; unknown != c.unknown {
		t.Errorf("ErrorInfo is %v: want it to say that the outcome is unknown: %t", d.info, c.unknown)
	}
	if got := strings.Join(trailer.Get("grpc-retry-pushback-ms"), ","); got != c.pushback() {
		t.Errorf("the pushback is %q, want %q", got, c.pushback())
	}
	return text
}

// labels are those of the call in the metrics, which have nothing of the name of an unknown method.
func (c failureCase) labels() string {
	if c.rpc != "" {
		return unknownLabels
	}
	return rpcLabels
}

// pushback is the pushback for the retry policy of a gRPC client: -1, no retry, for a call that was retried already.
func (c failureCase) pushback() string {
	switch {
	case c.reached > 1 || c.seamDown || c.retryAfter != 0 && c.code != codes.Unavailable:
		return "-1"
	case c.retryAfter != 0:
		return strconv.Itoa(c.retryAfter * 1000)
	default:
		return ""
	}
}

// grpcFields are the violations over gRPC: a field that cannot be told by its name is one of the message.
func (c failureCase) grpcFields() []string {
	if c.grpcMessage != "" {
		return []string{""}
	}
	return c.fields
}

// checkREST makes the call over REST and returns all of its response as text.
func (c failureCase) checkREST(t *testing.T, h *harness) string {
	credential := cmp.Or(c.credential, "Bearer "+sandbox.APIKey)
	if credential == "none" {
		credential = ""
	}
	got := h.send(cmp.Or(c.method, http.MethodPost), cmp.Or(c.path, grantPath), c.body,
		"Authorization", credential, "Content-Type", cmp.Or(c.contentType, "application/json"))
	text := got.text
	for name, values := range got.header {
		text += "\n" + name + ": " + strings.Join(values, ", ")
	}
	if got.status != c.status {
		t.Errorf("status %d, want %d: %s", got.status, c.status, text)
	}
	id := got.header.Get("Seam-Request-Id")
	if id == "" {
		t.Error("no seam-request-id")
	}
	wantRetry := ""
	if c.retryAfter != 0 {
		wantRetry = strconv.Itoa(c.retryAfter)
	}
	if retry := got.header.Get("Retry-After"); retry != wantRetry {
		t.Errorf("Retry-After %q, want %q", retry, wantRetry)
	}
	if c.noEnvelope {
		if got.text != "" {
			t.Errorf("body %q, want none, as Seam sent none", got.text)
		}
		return text
	}
	if contentType := got.header.Get("Content-Type"); contentType != "application/json" {
		t.Errorf("content type %q", contentType)
	}
	if ok := got.members(t)["ok"]; ok != false {
		t.Errorf("ok is %v", ok)
	}
	failure := got.failure(t)
	if failure["type"] != c.errorType || failure["message"] != c.text || failure["request_id"] != id {
		t.Errorf("error is %v, want type %q, message %q, request id %q", failure, c.errorType, c.text, id)
	}
	data, _ := failure["data"].(map[string]any)
	if unknown := data["outcome"] == "unknown"; unknown != c.unknown {
		t.Errorf("data is %v: want it to say that the outcome is unknown: %t", data, c.unknown)
	}
	tree, _ := failure["validation_errors"].(map[string]any)
	if got := violationPaths(tree, ""); !slices.Equal(got, slices.Sorted(slices.Values(c.fields))) {
		t.Errorf("validation_errors are about %q, want %q", got, c.fields)
	}
	return text
}

// violationPaths lists where a tree of validation_errors has messages, in the notation of gRPC.
func violationPaths(node map[string]any, at string) []string {
	var paths []string
	if messages, _ := node["_errors"].([]any); len(messages) > 0 {
		paths = append(paths, at)
	}
	for name, child := range node {
		below, ok := child.(map[string]any)
		if !ok {
			continue
		}
		path := strings.TrimPrefix(at+"."+name, ".")
		if _, err := strconv.Atoi(name); err == nil {
			path = at + "[" + name + "]"
		}
		paths = append(paths, violationPaths(below, path)...)
	}
	slices.Sort(paths)
	return paths
}

type errorDetails struct {
	info       *errdetails.ErrorInfo
	request    *errdetails.RequestInfo
	badRequest *errdetails.BadRequest
	retry      *errdetails.RetryInfo
}

func details(t *testing.T, st *status.Status) errorDetails {
	t.Helper()
	var d errorDetails
	for _, detail := range st.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			d.info = detail
		case *errdetails.RequestInfo:
			d.request = detail
		case *errdetails.BadRequest:
			d.badRequest = detail
		case *errdetails.RetryInfo:
			d.retry = detail
		case *structpb.Struct, *structpb.Value:
		default:
			t.Errorf("unexpected detail %T", detail)
		}
	}
	return d
}

func (d errorDetails) fields() []string {
	var fields []string
	for _, violation := range d.badRequest.GetFieldViolations() {
		fields = append(fields, violation.GetField())
	}
	return fields
}

// invoke makes a unary call with a message, or with raw bytes that need not be one.
func (h *harness) invoke(
	ctx context.Context, method string, message proto.Message, raw []byte, options ...grpc.CallOption,
) error {
	if raw == nil {
		return h.conn.Invoke(ctx, method, message, &clientsessionv1.GrantAccessResponse{}, options...)
	}
	return h.conn.Invoke(ctx, method, raw, &[]byte{}, append(options, grpc.ForceCodec(rawCodec{}))...)
}

// rawCodec sends and receives bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = slices.Clone(data)
	return nil
}
