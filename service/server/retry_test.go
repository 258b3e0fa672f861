package server_test

import (
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
	"github.com/clientsession/service/service/sandbox"
)

// retryPolicy is what a caller would configure: try again when the service is not there.
const retryPolicy = `{"methodConfig":[{"name":[{"service":"seam.clientsession.v1.ClientSessionService"}],"retryPolicy":{` +
	`"maxAttempts":3,"initialBackoff":"0.01s","maxBackoff":"0.01s","backoffMultiplier":1,` +
	`"retryableStatusCodes":["UNAVAILABLE"]}}]}`

// TestClientRetries shows that a client's own retry policy acts on the service's errors.
func TestClientRetries(t *testing.T) {
	h := start(t)
	conn, err := grpc.NewClient(h.at.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(retryPolicy))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := h.sandbox.Inject(sandbox.Fault{Status: http.StatusServiceUnavailable, Times: 2}); err != nil {
		t.Fatal(err)
	}
	client := clientsessionv1.NewClientSessionServiceClient(conn)
	if _, err := client.GrantAccess(authorized(t), grantByID()); err != nil {
		t.Errorf("got %v, want the third try to succeed", err)
	}
	if got := len(h.sandbox.Requests()); got != 3 {
		t.Errorf("%d requests reached Seam, want 3", got)
	}
}
