package server_test

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/clientsession/client-session-service/service/sandbox"
)

// TestForwardedHeaders shows which headers reach Seam: those on the list, once, and empty ones not at all.
func TestForwardedHeaders(t *testing.T) {
	sent := map[string]string{
		"authorization": "Bearer " + sandbox.APIKey, "seam-workspace": sandbox.WorkspaceID,
		"seam-sdk-name": "seamapi/javascript", "seam-sdk-version": "1.2.3", "seam-lts-version": "1.0.0",
		"user-identifier-key": "jane_doe", "seam-user-identifier-key": "", "client-session-token": "",
		// None of these is Seam's business.
		"cookie": "a=seam_secretcookie", "x-forwarded-for": "1.2.3.4", "grpc-metadata-authorization": "Bearer forged",
		"grpc-metadata-seam-workspace": "forged", "grpcgateway-authorization": "forged", "x-api-key": "secret",
		"x-request-id": "caller-1", "forwarded": "for=1.2.3.4", "traceparent": "00-0-0-00", "accept-encoding": "gzip",
	}
	want := map[string]string{
		"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "client-session-service/test",
	}
	for _, name := range []string{
		"Authorization", "Seam-Workspace", "Seam-Sdk-Name", "Seam-Sdk-Version", "Seam-Lts-Version", "User-Identifier-Key",
	} {
		want[name] = sent[strings.ToLower(name)]
	}
	for face, grant := range map[string]func(h *harness) bool{
		"rest": func(h *harness) bool {
			headers := []string{"content-type", "application/json"}
			for name, value := range sent {
				headers = append(headers, name, value)
			}
			status, _ := h.ask(http.MethodPost, "http://"+h.at.HTTP+grantPath, byID, headers...)
			return status == http.StatusOK
		},
		"grpc": func(h *harness) bool {
			_, err := h.client().GrantAccess(metadata.NewOutgoingContext(h.t.Context(), metadata.New(sent)), grantByID())
			return err == nil
		},
	} {
		t.Run(face, func(t *testing.T) {
			h := start(t)
			if !grant(h) {
				t.Error("the grant was not made")
			}
			requests := h.sandbox.Requests()
			if len(requests) != 1 {
				t.Fatalf("%d requests reached Seam", len(requests))
			}
			requests[0].Header.Del("Content-Length")
			for name, values := range requests[0].Header {
				if len(values) != 1 || values[0] != want[name] {
					t.Errorf("Seam got %s: %q", name, values)
				}
			}
			for name := range want {
				if requests[0].Header.Get(name) == "" {
					t.Errorf("Seam did not get %s", name)
				}
			}
			if err := h.stop(); err != nil {
				t.Error(err)
			}
			if calls := h.log.calls(t); len(calls) != 1 || calls[0]["call_id"] != "caller-1" {
				t.Errorf("the caller's request id is not in the log: %v", calls)
			}
		})
	}
}
