package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/clientsession/client-session-service/service/call"
	"github.com/clientsession/client-session-service/service/seam/seamtest"
)

// tokenAttacks are about tokens that the issuer has signed and that are good for nothing, and about those that it has
// not.
func tokenAttacks() []attack {
	with := func(claims map[string]any) func(*testing.T, *credentialHarness) (string, string) {
		return func(t *testing.T, h *credentialHarness) (string, string) {
			t.Helper()
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+h.sign(claims))
			_, err := h.client().GrantAccess(ctx, grantByID())
			return status.Code(err).String(), fmt.Sprint(status.Convert(err).Proto())
		}
	}
	soon := time.Now().Add(time.Hour)
	const no = "Unauthenticated"
	return []attack{
		{"JWT, nbf as text", with(map[string]any{"nbf": fmt.Sprint(soon.Unix())}), no, 0},
		{"JWT, not yet good", with(map[string]any{"nbf": soon.Unix()}), no, 0},
		{"JWT, issued in the future", with(map[string]any{"iat": soon.Unix()}), no, 0},
		{"JWT, expired", with(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), no, 0},
		{"JWT of another subject", with(map[string]any{"sub": "Jobs"}), no, 0},
		{"JWT of another subject, and a claim that folds to it", with(map[string]any{"sub": "x", "SUB": "jobs"}), no, 0},
		{"JWT for others", with(map[string]any{"aud": "others"}), no, 0},
		{"50 invalid JWTs", func(t *testing.T, h *credentialHarness) (string, string) {
			t.Helper()
			refused := 0
			for i := range 50 {
				token := h.jobsToken[:len(h.jobsToken)-8] + fmt.Sprintf("%08d", i)
				if got := h.grant(byID, "Authorization", "Bearer "+token); got.status == http.StatusUnauthorized {
					refused++
				}
			}
			return fmt.Sprint(refused, " refused"), ""
		}, "50 refused", 0},
	}
}

// unreadAttacks are about requests that never arrive completely, and streams that never end.
func unreadAttacks() []attack {
	return []attack{
		{"message of an unauthenticated client that never arrives, gRPC", func(t *testing.T, h *credentialHarness) (string, string) {
			t.Helper()
			c := h.h2(t)
			defer c.Close()
			if err := c.open(1, "authorization", ""); err != nil {
				t.Fatal(err)
			}
			return c.outcome()
		}, "grpc 16", 0},
		// As many may be arriving as a quarter of --max-in-flight; the others lose their places to newer ones.
		{"300 messages that lack a byte", unreadMessages, "44 cut off", 0},
		{"300 health watches", watches, "44 refused", 0},
		{"300 health checks that lack a byte, and a caller's slow request", unreadChecks, "the caller's is served", 1},
		{"malformed path with a deadline in 10,000 years", framesWith(":path", "/x", "grpc-timeout", "99999999H"), "grpc 12", 0},
		{"100 KB of ids that are all wrong", overREST(http.MethodPost, "/client_sessions/create",
			`{"user_identity_ids":["\u0001"`+strings.Repeat(`,"\u0001"`, 11_000)+`]}`), "400 invalid_input", 0},
		{"40,000 empty ids", overREST(http.MethodPost, grantPath,
			`{"connect_webview_ids":[""`+strings.Repeat(`,""`, 40_000)+`]}`), "400 invalid_input", 0},
	}
}

// unreadChecks floods the service with health checks that do not arrive, while a request of a caller arrives slowly.
func unreadChecks(t *testing.T, h *credentialHarness) (string, string) {
	t.Helper()
	slow := h.h2(t)
	defer slow.Close()
	payload, err := proto.Marshal(grantByID())
	if err != nil {
		t.Fatal(err)
	}
	message := envelope(0, payload)
	if err := errors.Join(slow.open(1), slow.WriteData(1, false, message[:7])); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		c := h.h2(t)
		defer c.Close()
		for i := range uint32(100) {
			if err := errors.Join(c.open(2*i+1, ":path", healthv1.Health_Check_FullMethodName),
				c.WriteData(2*i+1, false, envelope(0, make([]byte, 1000))[:999])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := slow.WriteData(1, true, message[7:]); err != nil {
		t.Fatal(err)
	}
	outcome, reply := slow.outcome()
	if outcome == "grpc 0" {
		outcome = "the caller's is served"
	}
	return outcome, reply
}

func unreadMessages(t *testing.T, h *credentialHarness) (string, string) {
	t.Helper()
	const refusedTotal = `client_session_service_refused_total{limit="request_buffer"}`
	before := h.metric(t, refusedTotal)
	for range 3 {
		c := h.h2(t)
		defer c.Close()
		for i := range 100 {
			if err := c.open(uint32(2*i + 1)); err != nil {
				t.Fatal(err)
			}
			head := envelope(0, make([]byte, call.MaxRequestBytes))[:5]
			if err := c.WriteData(uint32(2*i+1), false, head); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A call beside them takes a place of an older one, and leaves it free.
	seamtest.Eventually(t, "all of them have arrived so far", func() bool {
		arriving := int(h.metric(t, "client_session_service_requests_arriving"))
		return h.metric(t, refusedTotal)-before >= 44 && arriving >= 256-h.beside && arriving <= 256
	})
	h.check(t) // Beside them. The first of the two calls takes one more place, which the second then has.
	h.upstream(t)
	cutOff := int(h.metric(t, refusedTotal) - before - 1)
	if cutOff > 44 && cutOff <= 44+h.beside {
		cutOff = 44
	}
	return fmt.Sprint(cutOff, " cut off"), ""
}

func watches(t *testing.T, h *credentialHarness) (string, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	refused := make(chan bool)
	for _, conn := range h.connections(t, 3) {
		defer conn.Close() // The test goes on for long.
		for range 100 {
			go func() {
				stream, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
				if err == nil {
					_, err = stream.Recv()
				}
				refused <- status.Code(err) == codes.Unimplemented
			}()
		}
	}
	n := 0
	for range 300 {
		if <-refused {
			n++
		}
	}
	cancel()
	seamtest.Eventually(t, "the streams are gone", func() bool {
		return h.metric(t, "client_session_service_grpc_streams") == 0
	})
	return fmt.Sprint(n, " refused"), ""
}
