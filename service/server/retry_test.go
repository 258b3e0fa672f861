package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// retryPolicy is what a caller would configure: try again when the service is not there.
const retryPolicy = `{"methodConfig":[{"name":[{"service":"seam.clientsession.v1.ClientSessionService"}],"retryPolicy":{` +
	`"maxAttempts":5,"initialBackoff":"0.01s","maxBackoff":"0.01s","backoffMultiplier":1,` +
	`"retryableStatusCodes":["UNAVAILABLE","UNKNOWN","INTERNAL","DEADLINE_EXCEEDED"]}}]}`

// retryingClient is a gRPC client that tries everything again five times, more than any should.
func (h *harness) retryingClient() clientsessionv1.ClientSessionServiceClient {
	h.t.Helper()
	conn, err := grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retryPolicy))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	return clientsessionv1.NewClientSessionServiceClient(conn)
}

// TestRetries shows that a grant that failed is made in the end, that it is one call with several attempts in the log
// and in the metrics, and that the log says why.
func TestRetries(t *testing.T) {
	t.Parallel()
	for face, grant := range map[string]func(*testing.T, *harness) bool{
		"grpc": func(t *testing.T, h *harness) bool {
			t.Helper()
			_, err := h.client().GrantAccess(authorized(t), grantByID())
			return err == nil
		},
		"rest": func(_ *testing.T, h *harness) bool { return h.grant(byID).status == http.StatusOK },
	} {
		t.Run(face, func(t *testing.T) {
			h := start(t)
			for _, fault := range []sandbox.Fault{
				{Status: http.StatusServiceUnavailable, Times: 1}, {Disconnect: sandbox.DisconnectReset, Times: 1},
			} {
				if err := h.sandbox.Inject(fault); err != nil {
					t.Fatal(err)
				}
			}
			if !grant(t, h) {
				t.Error("the grant was not made")
			}
			if n := len(h.sandbox.Requests()); n != 3 {
				t.Errorf("%d requests reached Seam, want 3", n)
			}
			calls := h.log.calls(t)
			if len(calls) != 1 || calls[0]["attempts"] != 3.0 || calls[0]["code"] != "OK" || calls[0]["level"] != "INFO" {
				t.Fatalf("the log has %v", calls)
			}
			if why, _ := calls[0]["retry_reason"].(string); !strings.Contains(why, "call 127.0.0.1: ") {
				t.Errorf("the log says that the last attempt was made after %q", why)
			}
			_, text := h.admin("/metrics")
			for _, want := range []string{
				`upstream_attempts_total{attempt="1",outcome="unavailable"} 1`, `upstream_attempts_total{attempt="2",outcome="connection_lost"} 1`,
				`upstream_attempts_total{attempt="3",outcome="success"} 1`, `upstream_breaker_state 0`,
			} {
				if !strings.Contains(text, "client_session_service_"+want) {
					t.Errorf("the metrics lack %s", want)
				}
			}
		})
	}
}

// TestRetriesDoNotMultiply shows that a caller that retries by itself does not multiply what the service retries.
func TestRetriesDoNotMultiply(t *testing.T) {
	t.Parallel()
	t.Run("a gRPC client's retry policy", func(t *testing.T) {
		h := start(t)
		if err := h.sandbox.Inject(sandbox.Fault{Status: http.StatusServiceUnavailable}); err != nil {
			t.Fatal(err)
		}
		_, err := h.retryingClient().GrantAccess(authorized(t), grantByID())
		if n := len(h.sandbox.Requests()); status.Code(err) != codes.Unavailable || n != 3 {
			t.Errorf("got %v after %d requests, want UNAVAILABLE after 3", err, n)
		}
	})
	t.Run("a gRPC client's retry policy, what may have been made", func(t *testing.T) {
		for _, fault := range []sandbox.Fault{
			{Status: http.StatusServiceUnavailable},
			{Disconnect: sandbox.DisconnectReset},
			{Status: 500},
			{Status: 504},
			{Disconnect: sandbox.DisconnectTruncate},
		} {
			h := start(t)
			if err := h.sandbox.Inject(fault); err != nil {
				t.Fatal(err)
			}
			request := &clientsessionv1.CreateRequest{
				UserIdentifierKey: new("new"), IfExists: clientsessionv1.IfExists_IF_EXISTS_FAIL,
			}
			_, err := h.retryingClient().Create(authorized(t), request)
			outcome := details(t, status.Convert(err)).info.GetMetadata()["outcome"]
			if n := len(h.sandbox.Requests()); err == nil || outcome != "unknown" || n != 1 {
				t.Errorf("%+v: got %v, outcome %q, after %d requests, want 1", fault, err, outcome, n)
			}
		}
	})
	t.Run("an SDK that retries every method", func(t *testing.T) {
		h := start(t)
		if err := h.sandbox.Inject(sandbox.Fault{Status: http.StatusServiceUnavailable}); err != nil {
			t.Fatal(err)
		}
		for range 3 { // What the SDK does.
			h.grant(byID, "X-Fern-Language", "Go")
		}
		if n := len(h.sandbox.Requests()); n != 3 {
			t.Errorf("%d requests reached Seam, want 3", n)
		}
	})
}

// TestClientRetries shows that a client's own retry policy still acts where the service has sent nothing to Seam, and
// after the RetryInfo: here once the circuit breaker lets calls through again.
func TestClientRetries(t *testing.T) {
	t.Parallel() // Five seconds are waited.
	h := start(t)
	fail := sandbox.Fault{Status: http.StatusServiceUnavailable}
	if err := h.sandbox.Inject(fail); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(h.grant(byID).text, "upstream_circuit_open") {
		if len(h.sandbox.Requests()) > 40 {
			t.Fatal("the circuit breaker does not open")
		}
	}
	h.sandbox.ClearFaults()
	h.sandbox.ClearRequests()
	began := time.Now()
	if _, err := h.retryingClient().GrantAccess(authorized(t), grantByID()); err != nil {
		t.Errorf("got %v, want the second try to succeed", err)
	}
	if n, took := len(h.sandbox.Requests()), time.Since(began); n != 1 || took < time.Second {
		t.Errorf("%d requests after %s, want 1 after some 5 s", n, took)
	}
}

// TestRetryThatCannotEndInTime shows that a call whose deadline leaves no time for another attempt ends with Seam's
// error, and not with a timeout.
func TestRetryThatCannotEndInTime(t *testing.T) {
	t.Parallel() // Four seconds are waited.
	const deadline, delay = 3 * time.Second, 2 * time.Second
	h := start(t, func(cfg *config.Config) { cfg.DefaultTimeout = deadline })
	if _, err := h.client().GrantAccess(authorized(t), grantByID()); err != nil { // Makes the connections.
		t.Fatal(err)
	}
	h.sandbox.ClearRequests()
	fault := sandbox.Fault{Delay: delay, Status: http.StatusServiceUnavailable}
	if err := h.sandbox.Inject(fault); err != nil {
		t.Fatal(err)
	}
	if got := h.grant(byID); got.status != http.StatusServiceUnavailable {
		t.Errorf("REST: got %d %s", got.status, got.text)
	}
	ctx, cancel := context.WithTimeout(authorized(t), deadline)
	defer cancel()
	if _, err := h.client().GrantAccess(ctx, grantByID()); status.Code(err) != codes.Unavailable {
		t.Errorf("gRPC: got %v", err)
	}
	if n := len(h.sandbox.Requests()); n != 2 {
		t.Errorf("%d requests reached Seam, want one for each call", n)
	}
}
