package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/config"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// sentIDs are ids that a caller may send, each with whether the service uses it.
var sentIDs = map[string]bool{"call-1": true, "": false, "two words": false, strings.Repeat("x", 129): false}

// TestRequestIDOverREST shows that each response of the REST face has the id of the request in x-request-id: the
// caller's, if that is well formed. The log has the same one.
func TestRequestIDOverREST(t *testing.T) {
	t.Parallel()
	const origin = "https://app.example.com"
	for name, request := range map[string]func(h *harness, header ...string) restResponse{
		"success":       func(h *harness, header ...string) restResponse { return h.grant(byID, header...) },
		"invalid input": func(h *harness, header ...string) restResponse { return h.grant(`{}`, header...) },
		"Seam's refusal": func(h *harness, header ...string) restResponse {
			return h.grant(byID, append(header, "Authorization", "Bearer seam_x")...)
		},
		"no such path": func(h *harness, header ...string) restResponse { return h.send(http.MethodGet, "/", "", header...) },
		"escaped path": func(h *harness, header ...string) restResponse {
			return h.send(http.MethodGet, "/client%5Fsessions", "", header...)
		},
		"no such method": func(h *harness, header ...string) restResponse {
			return h.send(http.MethodPut, grantPath, "", header...)
		},
		"preflight": func(h *harness, header ...string) restResponse {
			return h.send(http.MethodOptions, grantPath, "", append(header, "Origin", origin, "Access-Control-Request-Method", "POST")...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, func(cfg *config.Config) { cfg.CORSOrigins = []string{origin} })
			var ids []string
			for sent, used := range sentIDs {
				got := request(h, "X-Request-Id", sent).header.Values("X-Request-Id")
				if len(got) != 1 || (got[0] == sent) != used {
					t.Fatalf("%q was sent, and the response has %q", sent, got)
				}
				if _, err := uuid.Parse(got[0]); !used && err != nil {
					t.Errorf("%q was sent, and the id is %q, want a new UUID", sent, got)
				}
				ids = append(ids, got[0])
			}
			if err := h.stop(); err != nil {
				t.Error(err)
			}
			for _, id := range ids { // A preflight has no line.
				if n := strings.Count(h.log.String(), `"call_id":"`+id+`"`); (n == 1) != (name != "preflight") {
					t.Errorf("%d lines have the id %s", n, id)
				}
			}
		})
	}
}

// TestRequestIDOverGRPC shows the same for the gRPC face, where a success has the id in a header, and an error in a
// trailer and in its details.
func TestRequestIDOverGRPC(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, credential string
		code               codes.Code
	}{
		"success":          {clientsessionv1.ClientSessionService_GrantAccess_FullMethodName, "Bearer " + sandbox.APIKey, codes.OK},
		"no credential":    {clientsessionv1.ClientSessionService_GrantAccess_FullMethodName, "", codes.Unauthenticated},
		"Seam's refusal":   {clientsessionv1.ClientSessionService_GrantAccess_FullMethodName, "Bearer seam_x", codes.Unauthenticated},
		"no such method":   {"/seam.clientsession.v1.ClientSessionService/Nothing", "", codes.Unimplemented},
		"health, no state": {"/grpc.health.v1.Health/Check", "", codes.InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			var ids []string
			for sent, used := range sentIDs {
				var header, trailer metadata.MD
				ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", test.credential, "x-request-id", sent)
				err := h.conn.Invoke(ctx, test.method, grantByID(), &clientsessionv1.GrantAccessResponse{}, grpc.Header(&header), grpc.Trailer(&trailer))
				if status.Code(err) != test.code {
					t.Fatalf("got %v", err)
				}
				got := slices.Concat(header.Get("x-request-id"), trailer.Get("x-request-id"))
				if len(got) != 1 || (got[0] == sent) != used || len(header.Get("x-request-id")) == 1 != (err == nil) {
					t.Fatalf("%q was sent, and the response has %q", sent, got)
				}
				if err != nil && details(t, status.Convert(err)).info.GetMetadata()["x-request-id"] != got[0] {
					t.Errorf("the details are %v, want the id %s", status.Convert(err).Details(), got[0])
				}
				ids = append(ids, got[0])
			}
			if err := h.stop(); err != nil {
				t.Error(err)
			}
			lines := h.log.calls(t)
			for i, id := range ids {
				if len(lines) != len(ids) || lines[i]["call_id"] != id {
					t.Errorf("the lines are %v, want one with %s", lines, id)
				}
			}
		})
	}
}
