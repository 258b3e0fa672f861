// Command grant-access grants a client session access, and tells all there is to know when that is refused.
//
//	SEAM_API_KEY=seam_... go run ./grant-access -session ID -account ID
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc/metadata"

	client "github.com/clientsession/client-session-service/clients/go"
	clientsessionv1 "github.com/clientsession/client-session-service/gen/go/seam/clientsession/v1"
)

func main() {
	address := flag.String("address", "127.0.0.1:9090", "host:port of the service")
	useTLS := flag.Bool("tls", false, "connect with TLS")
	session := flag.String("session", "", "the client session to grant access to")
	account := flag.String("account", "", "a connected account")
	flag.Parse()

	request := &clientsessionv1.GrantAccessRequest{ClientSessionId: session}
	if *account != "" {
		request.ConnectedAccountIds = []string{*account}
	}
	if err := grant(*address, *useTLS, request); err != nil {
		fmt.Fprintln(os.Stderr, client.FailureOf(err))
		os.Exit(1)
	}
}

func grant(address string, useTLS bool, request *clientsessionv1.GrantAccessRequest) error {
	conn, err := client.Connect(address, useTLS)
	if err != nil {
		return err
	}
	defer conn.Close()

	// The deadline holds for all attempts together. Without one, a call may wait for ever.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+os.Getenv("SEAM_API_KEY"))

	response, err := clientsessionv1.NewClientSessionServiceClient(conn).GrantAccess(ctx, request)
	if err != nil {
		return err
	}
	granted := response.GetClientSession()
	fmt.Printf("client session %s reaches %d devices\n", granted.GetClientSessionId(), granted.GetDeviceCount())
	// A field that can be unset is a pointer. Its getter returns "" then.
	if granted.UserIdentifierKey != nil {
		fmt.Printf("it belongs to %s\n", granted.GetUserIdentifierKey())
	}
	return nil
}
