package server_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/client-session-service/service/sandbox"
)

// retryPolicy is more than any caller should configure: five attempts after whatever may pass.
const retryPolicy = `{"methodConfig":[{"name":[{"service":"seam.clientsession.v1.ClientSessionService"}],"retryPolicy":{` +
	`"maxAttempts":5,"initialBackoff":"0.01s","maxBackoff":"0.01s","backoffMultiplier":1,` +
	`"retryableStatusCodes":["UNAVAILABLE","UNKNOWN","INTERNAL","DEADLINE_EXCEEDED"]}}]}`

// TestRetriesDoNotMultiply shows that a caller that retries by itself does not multiply what the service retries, nor
// sends a write again that may have been applied and must not be twice.
func TestRetriesDoNotMultiply(t *testing.T) {
	t.Parallel()
	type client = clientsessionv1.ClientSessionServiceClient
	grant := func(ctx context.Context, _ *harness, c client) error {
		_, err := c.GrantAccess(ctx, grantByID())
		return err
	}
	create := func(ctx context.Context, _ *harness, c client) error {
		_, err := c.Create(ctx, &clientsessionv1.CreateRequest{
			UserIdentifierKey: new("new"), IfExists: clientsessionv1.IfExists_IF_EXISTS_FAIL,
		})
		return err
	}
	keyless := func(ctx context.Context, _ *harness, c client) error {
		_, err := c.Create(ctx, &clientsessionv1.CreateRequest{})
		return err
	}
	keylessGet := func(ctx context.Context, _ *harness, c client) error {
		_, err := c.GetOrCreate(ctx, &clientsessionv1.GetOrCreateRequest{})
		return err
	}
	for name, test := range map[string]struct {
		fault sandbox.Fault
		call  func(context.Context, *harness, client) error
		want  int
	}{
		"a gRPC client, idempotent":                  {sandbox.Fault{Status: 503}, grant, 3},
		"a gRPC client, not idempotent, 503":         {sandbox.Fault{Status: 503}, create, 1},
		"a gRPC client, not idempotent, 500":         {sandbox.Fault{Status: 500}, create, 1},
		"a gRPC client, not idempotent, a reset":     {sandbox.Fault{Disconnect: sandbox.DisconnectReset}, create, 1},
		"a gRPC client, not idempotent, cut off":     {sandbox.Fault{Disconnect: sandbox.DisconnectTruncate}, create, 1},
		"a gRPC client, create without a key":        {sandbox.Fault{Status: 503}, keyless, 1},
		"a gRPC client, get_or_create without a key": {sandbox.Fault{Status: 503}, keylessGet, 1},
		"an SDK that makes three attempts": {
			sandbox.Fault{Status: 503},
			func(_ context.Context, h *harness, _ client) error {
				for range 3 {
					h.grant(byID, "X-Fern-Language", "Go")
				}
				return nil
			}, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			h.inject(test.fault)
			conn, err := grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithDefaultServiceConfig(retryPolicy))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			err = test.call(authorized(t), h, clientsessionv1.NewClientSessionServiceClient(conn))
			if err != nil && details(t, status.Convert(err)).info.GetMetadata()["outcome"] != "unknown" {
				t.Errorf("got %v", err)
			}
			if n := len(h.sandbox.Requests()); n != test.want {
				t.Errorf("%d requests reached Seam, want %d", n, test.want)
			}
		})
	}
}
