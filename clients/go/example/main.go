// Command example gives the client session of a user access to connected accounts. It creates the session if there is
// none.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/clientsession/client-session-service/gen/go/clientsession"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

func main() {
	if err := grant(os.Args[1], os.Args[2:]); err != nil {
		failure, _ := clientsession.FromError(err)
		fmt.Fprintln(os.Stderr, failure)
		os.Exit(1)
	}
	fmt.Println("granted")
}

func grant(user string, accounts []string) error {
	conn, err := clientsession.Connect(os.Getenv("ADDRESS"), os.Getenv("SEAM_API_KEY"))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := clientsessionv1.NewClientSessionServiceClient(conn)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // For both calls, with their retries.
	defer cancel()

	toGrant := &clientsessionv1.GrantAccessRequest{UserIdentifierKey: &user, ConnectedAccountIds: accounts}
	_, err = client.GrantAccess(ctx, toGrant)
	if failure, _ := clientsession.FromError(err); failure.Reason == clientsession.ReasonClientSessionNotFound {
		toCreate := &clientsessionv1.CreateRequest{UserIdentifierKey: &user, ConnectedAccountIds: accounts}
		_, err = client.Create(ctx, toCreate)
	}
	return err
}
