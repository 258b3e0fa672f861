package main

import (
	"context"

	"google.golang.org/grpc/metadata"

	client "github.com/clientsession/service/clients/go"
	clientsessionv1 "github.com/clientsession/service/gen/go/seam/clientsession/v1"
)

// retried checks that one bad moment of Seam is not seen by who connects as the example does.
func retried(address string, box sandbox) []string {
	if err := box.post("faults", []byte(`{"status": 503, "times": 1}`)); err != nil {
		return []string{err.Error()}
	}
	if err := grantAsExample(address); err != nil {
		return []string{client.FailureOf(err).String()}
	}
	return countRequests(box, 2)
}

func notRetried(address string, box sandbox) []string {
	if err := box.post("faults", []byte(`{"rate_limit": true, "times": 1}`)); err != nil {
		return []string{err.Error()}
	}
	err := grantAsExample(address)
	if err == nil {
		return []string{"the call was tried again"}
	}
	return append(differences("code", "RESOURCE_EXHAUSTED", client.FailureOf(err).Code), countRequests(box, 1)...)
}

func countRequests(box sandbox, expected int) []string {
	got, err := box.requests()
	if err != nil {
		return []string{err.Error()}
	}
	return differences("requests to Seam", expected, got)
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
