package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc/metadata"

	client "github.com/clientsession/client-session-service/clients/go"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

// retried shows that the service retries a failed grant up to twice, and tells the connection's retry policy not to
// retry.
func retried(address string, box sandbox) []string {
	if err := box.post("faults", []byte(`{"status": 503}`)); err != nil {
		return []string{err.Error()}
	}
	err := grantAsExample(address)
	if err == nil {
		return []string{"the call succeeded"}
	}
	return append(differences("code", "UNAVAILABLE", client.FailureOf(err).Code), countRequests(box, 1, 3)...)
}

func notRetried(address string, box sandbox) []string {
	if err := box.post("faults", []byte(`{"rate_limit": true, "retry_after": 7}`)); err != nil {
		return []string{err.Error()}
	}
	err := grantAsExample(address)
	if err == nil {
		return []string{"the call succeeded"}
	}
	return append(differences("code", "RESOURCE_EXHAUSTED", client.FailureOf(err).Code), countRequests(box, 1, 1)...)
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

func grantAsExample(address string) error {
	conn, err := client.Connect(address, false)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer seam_testSand_sandboxsandboxsandboxsan")
	session := "3ada79d3-2848-4320-b2ef-a82e1e6dafac"
	_, err = clientsessionv1.NewClientSessionServiceClient(conn).GrantAccess(
		ctx, &clientsessionv1.GrantAccessRequest{ClientSessionId: &session})
	return err
}
