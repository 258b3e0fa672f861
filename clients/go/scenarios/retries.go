package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// retried shows that the service retries a failed grant up to twice, and tells the library not to retry.
func retried(address string, box sandbox) []string {
	if err := box.post("faults", []byte(`{"status": 503}`)); err != nil {
		return []string{err.Error()}
	}
	err := grant(address)
	if err == nil {
		return []string{"the call succeeded"}
	}
	return append(differences("code", codes.Unavailable, status.Code(err)), countRequests(box, 1, 3)...)
}

func notRetried(address string, box sandbox) []string {
	if err := box.post("faults", []byte(`{"rate_limit": true, "retry_after": 7}`)); err != nil {
		return []string{err.Error()}
	}
	err := grant(address)
	if err == nil {
		return []string{"the call succeeded"}
	}
	return append(differences("code", codes.ResourceExhausted, status.Code(err)), countRequests(box, 1, 1)...)
}

func countRequests(box sandbox, least, most int) []string {
	got, err := box.requests()
	if err != nil {
		return []string{err.Error()}
	}
	if got < least || got > most {
		return []string{fmt.Sprintf("expected %d to %d requests to Seam, got %d", least, most, got)}
	}
	return nil
}

func grant(address string) error {
	conn, err := clientsession.Connect(address, "seam_testSand_sandboxsandboxsandboxsan")
	if err != nil {
		return err
	}
	defer conn.Close()
	session := "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	_, err = clientsessionv1.NewClientSessionServiceClient(conn).GrantAccess(
		context.Background(), &clientsessionv1.GrantAccessRequest{ClientSessionId: &session})
	return err
}
